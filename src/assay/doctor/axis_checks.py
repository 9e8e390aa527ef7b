"""Contracts on what goes where: the axis of classes into the loss, every input into the output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import start_checks, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.subject import NotApplicableError, NotRunError, Subject


def logits_viewed(subject: Subject) -> list[Problem]:
    """Logits of many places an example, brought to the loss's shape by a view where a transpose was needed."""
    output = subject.traced.output
    if not isinstance(output, Tensor) or output.ndim < 3:
        raise NotApplicableError("the output is not one tensor of several places an example")
    found = [call for call in subject.traced.of_loss if call.name in ("cross_entropy", "nll_loss")]
    if not found:
        raise NotApplicableError("the loss does not call cross_entropy or nll_loss")
    for call in found:
        given = call.argument(0, "input")
        right = _right_order(output, given) if isinstance(given, Tensor) and given.ndim > 1 else None
        if right is None or torch.equal(given, right) or not torch.equal(given, output.reshape(given.shape)):
            continue
        return [
            Problem(
                places=["loss"],
                reason=f"{call.name} gets logits of {tuple(output.shape)} viewed as {tuple(given.shape)}: numbers of "
                "several places and classes are mixed",
                measured="equal to output.view(…)",
                threshold="the axis of classes moved",
                next_step="use output.transpose(1, 2), or flatten where the classes are last",
            )
        ]
    return []


def _right_order(output: Tensor, given: Tensor) -> Tensor | None:
    """The output with its classes where the loss wants them; None where the output is that, or its axes are a guess."""
    classes = given.shape[1]
    if output.shape[1] == output.shape[-1]:
        return None
    if given.ndim == output.ndim and output.shape[-1] == classes and output.movedim(-1, 1).shape == given.shape:
        return output.movedim(-1, 1)
    if given.ndim == 2 and output.shape[1] == classes and output.numel() == given.numel():
        return output.movedim(1, -1).reshape(-1, classes)
    return None


def unused_input(subject: Subject) -> list[Problem]:
    """A tensor that the model is given, and that moves no output in either mode."""
    arguments = _arguments(subject)
    if len(arguments) < 2:
        raise NotApplicableError("the model is given one tensor")
    size = tensor_tree.rows(subject.batch, 0)
    if size is None or any(one.shape[:1] != (size,) for one in arguments):
        raise NotApplicableError("not every tensor that the model is given has a row for each example")
    if not _unused(subject, arguments):
        return []
    if subject.budget < start_checks.STEPS:
        raise NotRunError(f"the budget of {subject.budget} rehearsal steps has no room to open gates that begin closed")
    start_checks.take_steps(subject)
    return _unused(subject, arguments)


def _unused(subject: Subject, arguments: list[Tensor]) -> list[Problem]:
    for at, given in enumerate(arguments):
        others = given.roll(1, 0) if given.ndim else given
        kinds = len(set(given.flatten()[:1000].tolist()))
        if given.ndim == 0 or len(given) < 3 or given.dtype == torch.bool or kinds < 3 or torch.equal(others, given):
            continue
        if all(_same(subject, at, others, training) for training in (False, True)):
            return [
                Problem(
                    places=["model", "train_loader inputs"],
                    reason=f"input {at + 1} of {len(arguments)} of the model moves no output: it is not used",
                    measured="equal outputs with the inputs of other examples",
                    threshold="other outputs",
                    next_step="look for an argument that is used twice in forward",
                )
            ]
    return []


def _arguments(subject: Subject) -> list[Tensor]:
    found: list[Tensor] = []

    def look(_module: nn.Module, args: Any, named: Any) -> None:
        if not found:
            found.extend(tensor_tree.leaves([args, named]))

    _run(subject, look, training=False)
    return found


def _same(subject: Subject, at: int, others: Tensor, training: bool) -> bool:
    """Whether outputs and losses stay when one tensor of the model's arguments is another."""

    def replaced(_module: nn.Module, args: Any, named: Any) -> Any:
        left = iter(range(10_000))
        return tuple(tensor_tree.mapped(lambda one: others if next(left) == at else one, [args, named]))

    def kept(_module: nn.Module, _args: Any, _named: Any) -> None:
        return None

    one = _run(subject, kept, training)
    return tensor_tree.same(one, _run(subject, replaced, training))


def _run(subject: Subject, hook: Callable[[nn.Module, Any, Any], Any], training: bool) -> list[Tensor]:
    handle = subject.model.register_forward_pre_hook(hook, with_kwargs=True)
    subject.model.train(training)
    try:
        return subject.said(subject.batch)
    finally:
        handle.remove()


CONTRACTS = (
    Contract("logits-viewed", "loss-contract", 96, logits_viewed),
    Contract("input-unused", "mixing", 76, unused_input, "warning"),
)
