"""Counterfactuals on the scale of inputs and targets: the same, standardised, train."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from assay.doctor import rehearsal, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import input_and_target
from assay.doctor.rehearsal import Rehearsed
from assay.doctor.rehearsal_checks import NOTHING, SOURCE, reach_of
from assay.doctor.subject import NotApplicableError, Subject

#: root mean square of an input above which, or below whose inverse, inputs are suspected to need scaling
SCALE = 10.0
#: size of targets in sizes of outputs, from which they are suspected to need scaling
FAR = 100.0
#: factor between the sizes of columns, from which they are suspected to need scaling
COLUMNS = 30.0


def unscaled_inputs(subject: Subject) -> list[Problem]:
    """Inputs far from unit size with which nothing is learned, where the same, standardised, train."""
    inputs = [one for one in tensor_tree.leaves(input_and_target(subject.batch)[0]) if one.is_floating_point()]
    sizes = [float(one.double().square().mean().sqrt()) for one in inputs]
    if subject.forward is not None or len(inputs) != 1 or inputs[0].ndim < 2:
        raise NotApplicableError("inputs are not one tensor of floating-point numbers")
    if not math.isfinite(sizes[0]) or sizes[0] == 0 or 1 / SCALE <= sizes[0] <= SCALE:
        return []
    reach = reach_of(subject, subject.batch)
    steps = min(rehearsal.STEPS, subject.budget // 4)
    batches = rehearsal.shuffled(subject, min(steps, 16))
    arms = [_without_schedule(subject, steps, batches, change) for change in (None, _standardiser(batches))]
    raw, scaled = (reach.gained(one.end) if one.finite else 0.0 for one in arms)
    falls = arms[0].finite and (not arms[0].settled or arms[0].end < 0.7 * arms[0].start)
    if raw > NOTHING or scaled < 3 * NOTHING or falls:
        return []
    return [
        Problem(
            places=["train_loader inputs"],
            reason="with inputs of this size nothing is learned, and standardised ones train",
            measured=f"inputs of size {sizes[0]:.3g}; {100 * raw:.0f} % of the way in {steps} steps, "
            f"standardised {100 * scaled:.0f} %",
            threshold="sizes around 1",
            next_step="subtract the mean and divide by the standard deviation of the training inputs",
        )
    ]


def unscaled_columns(subject: Subject) -> list[Problem]:
    """Columns of a table of sizes far apart, with which little is learned, where the same, standardised, train."""
    inputs = [one for one in tensor_tree.leaves(input_and_target(subject.batch)[0]) if one.is_floating_point()]
    if subject.forward is not None or len(inputs) != 1 or inputs[0].ndim != 2 or not 2 <= inputs[0].shape[1] <= 256:
        raise NotApplicableError("inputs are not one table of floating-point numbers")
    steps = min(rehearsal.STEPS, subject.budget // 4)
    batches = rehearsal.shuffled(subject, min(steps, 16))
    values = torch.cat([_input(one).double() for one in batches])
    sizes = values.square().mean(0).sqrt()
    varying = sizes[values.std(0, correction=0) > 0]
    if not bool(values.isfinite().all()) or len(varying) < 2 or float(varying.max()) <= COLUMNS * float(varying.min()):
        return []
    reach = reach_of(subject, subject.batch)
    arms = [_without_schedule(subject, steps, batches, change) for change in (None, _standardiser(batches))]
    raw, scaled = (reach.gained(one.end) if one.finite else 0.0 for one in arms)
    if scaled < 2 * NOTHING or raw > scaled / 3:
        return []
    return [
        Problem(
            places=["train_loader inputs"],
            reason="columns of the inputs are of sizes far apart, and standardised ones train several times faster",
            measured=f"sizes from {float(varying.min()):.3g} to {float(varying.max()):.3g}; {100 * max(raw, 0):.0f} % "
            f"of the way in {steps} steps, standardised {100 * scaled:.0f} %",
            threshold=f"a factor of {COLUMNS:g}, or a third of what standardised ones learn",
            next_step="subtract the mean and divide by the standard deviation of the training inputs, column by column",
        )
    ]


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
    raw, scaled = (_without_schedule(subject, steps, batches, each) for each in (None, change))
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


def _without_schedule(
    subject: Subject, steps: int, batches: list[Any], change: Callable[[Any], Any] | None
) -> Rehearsed:
    """`steps` of the user's own optimizers on batches that `change` has made."""
    optimizers = [rehearsal.copied(one, subject) for one in subject.optimizers]
    if not optimizers:
        raise NotApplicableError("no optimizer was given")

    def rule() -> None:
        for one in optimizers:
            one.step()

    return rehearsal.arm(subject, steps, rule, batches, change)


def _standardiser(batches: list[Any]) -> Callable[[Any], Any]:
    """Puts the mean of a batch's only floating-point input at 0 and its standard deviation at 1, by feature (dim 1)."""
    values = torch.cat([_input(one).double() for one in batches])
    dims = [at for at in range(values.ndim) if at != 1]
    mean, spread = values.mean(dims, keepdim=True), values.std(dims, keepdim=True, correction=0)
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))

    def change(batch: Any) -> Any:
        own = _input(batch)
        return tensor_tree.mapped(lambda one: ((own - mean) / spread).to(own) if one is own else one, batch)

    return change


def _input(batch: Any) -> Tensor:
    inputs, _ = input_and_target(batch)
    return next(one for one in tensor_tree.leaves(inputs) if one.is_floating_point())


CHECKS = (
    Contract("inputs-not-scaled", "data", 60, unscaled_inputs, "warning", SOURCE),
    Contract("columns-not-scaled", "data", 59, unscaled_columns, "warning", SOURCE),
    Contract("targets-not-scaled", "data", 61, unscaled_targets, "warning", SOURCE),
)
