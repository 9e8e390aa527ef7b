"""Counterfactuals on the scale of targets: the same, standardised, train."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from assay.doctor import rehearsal, tensor_tree
from assay.doctor.example_draws import input_and_target
from assay.doctor.problem import Contract, Problem
from assay.doctor.rehearsal_checks import NOTHING, SOURCE, reach_of, without_schedule
from assay.doctor.subject import NotApplicableError, Subject

#: size of targets in sizes of outputs, from which they are suspected to need scaling
FAR = 100.0


def unscaled_targets(subject: Subject) -> list[Problem]:
    """Targets a hundred times larger than outputs, which the planned run cannot reach, and standardised ones train."""
    output, target = subject.traced.output, subject.traced.target
    if not isinstance(output, Tensor) or not isinstance(target, Tensor) or not target.is_floating_point():
        raise NotApplicableError("output and target are not one tensor of numbers each")
    if subject.forward is not None or input_and_target(subject.batch)[1] is None or output.numel() != target.numel():
        raise NotApplicableError("targets are not outputs of one shape, as the batch has them")
    sizes = [float(one.detach().double().square().mean().sqrt()) for one in (target, output)]
    if not math.isfinite(sizes[0]) or sizes[0] <= FAR * max(sizes[1], 1.0):
        return []
    if subject.planned_steps is None:
        raise NotApplicableError("planned_steps was not given: a long run may get there")
    steps = min(rehearsal.STEPS, subject.budget // 4)
    batches = rehearsal.shuffled(subject, min(steps, 16))
    values = torch.cat([input_and_target(one)[1].double().flatten() for one in batches])
    mean, spread = values.mean(), values.std(correction=0)
    if not float(spread):
        raise NotApplicableError("all targets are equal")

    def change(batch: Any) -> Any:
        own = input_and_target(batch)[1]
        return tensor_tree.mapped(lambda one: ((own - mean) / spread).to(own) if one is own else one, batch)

    reach = reach_of(subject, change(subject.batch))
    raw, scaled = (without_schedule(subject, steps, batches, each) for each in (None, change))
    fallen = (raw.start - raw.end) / raw.start * subject.planned_steps / steps if raw.finite else 0.0
    better = reach.gained(scaled.end) if scaled.finite else 0.0
    if fallen > NOTHING or better < 3 * NOTHING:
        return []
    return [
        Problem(
            places=["train_loader targets"],
            reason="with targets of this size the planned run gets nowhere, and standardised ones train",
            measured=f"targets of size {sizes[0]:.3g}; the loss falls by {100 * max(fallen, 0):.1f} % in "
            f"{subject.planned_steps} steps at this pace, standardised by {100 * better:.0f} % of the way in {steps}",
            threshold="sizes around 1",
            next_step="subtract the mean and divide by the standard deviation of the training targets",
        )
    ]


CHECKS = (Contract("targets-not-scaled", "data", 61, unscaled_targets, "warning", SOURCE),)
