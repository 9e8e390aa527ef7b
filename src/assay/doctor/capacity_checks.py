"""More capacity: a side branch from the flattened inputs to the output, where a few examples are not learned."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import rehearsal, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import input_and_target
from assay.doctor.rehearsal_checks import NOTHING, memorised
from assay.doctor.subject import NotApplicableError, Subject

#: units of the branch, steps and rate of its Adam
WIDTH, STEPS, RATE = 64, 12, 0.03


class WithBranch(nn.Module):
    """A model, and a two-layer branch from its flattened inputs that is added to its output."""

    def __init__(self, model: nn.Module, inputs: int, output: Tensor) -> None:
        super().__init__()
        self.model = model
        self.shape = output.shape[1:]
        self.branch = nn.Sequential(nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, self.shape.numel()))
        self.branch.to(output)

    def forward(self, *inputs: Tensor) -> Tensor:
        made: Tensor = self.model(*inputs)
        beside: Tensor = self.branch(flattened(inputs).to(made))
        return made + beside.reshape(made.shape)


def flattened(inputs: Any) -> Tensor:
    """(N, D) all numbers of each example."""
    return torch.cat([one.flatten(1).float() for one in tensor_tree.leaves(inputs)], 1)


def more_capacity(subject: Subject) -> list[Problem]:
    """A few examples that are not learned, and are not with a side branch either: the fault is not in the model."""
    if subject.forward is not None or subject.batch_dim != 0 or not subject.copied:
        raise NotApplicableError("a branch needs inputs by place, examples first and a copy of the model")
    found = memorised(subject)
    if found.best > NOTHING:
        raise NotApplicableError("a few examples are learned")
    inputs, _ = input_and_target(found.batch)
    given = list(tensor_tree.leaves(inputs))
    if isinstance(inputs, dict) or any(one.ndim < 2 or not one.is_floating_point() for one in given):
        raise NotApplicableError("inputs are not floating-point numbers that can be flattened")
    gained = _with_branch(subject, found.batch, flattened(inputs).shape[1], found.start, found.free)
    if gained > NOTHING:
        return []
    return [
        Problem(
            places=["train_loader inputs", "loss", "train_loader targets"],
            reason="a few examples are not learned with a side branch beside the model either: it is not the model",
            measured=f"{100 * max(gained, 0):.0f} % of the way from loss {found.start:.3g} to {found.free:.3g}",
            threshold=f"{100 * NOTHING:.0f} %",
            next_step="look at the scale of the inputs, at the loss, and at how targets belong to inputs",
        )
    ]


def _with_branch(subject: Subject, batch: Any, width: int, start: float, free: float) -> float:
    """Share of the way that Adam goes with the branch, from the model's first state."""
    own = subject.model
    output, _ = subject.run(batch)
    if not isinstance(output, Tensor) or output.ndim < 1 or not output.is_floating_point():
        raise NotApplicableError("the output is not one tensor of rows")
    subject.reset()
    both = WithBranch(own, width, output.detach())
    trained = [*(one for _, one in subject.trained), *both.branch.parameters()]
    rule = rehearsal.Adam(trained, RATE)
    subject.model = both
    try:
        rehearsal.spend(subject, steps := min(STEPS, subject.budget // 10))
        for _ in range(steps):
            gradients = torch.autograd.grad(subject.value(batch), trained, allow_unused=True)
            for one, gradient in zip(trained, gradients, strict=True):
                one.grad = gradient
            rule.step()
        end = rehearsal.apart(subject, batch)
    finally:
        subject.model = own
        subject.reset()
    return (start - end) / max(start - free, 1e-12) if math.isfinite(end) else 0.0


CHECKS = (Contract("more-capacity", "one-batch", 15, more_capacity, "warning", "counterfactual"),)
