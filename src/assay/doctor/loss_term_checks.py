"""Losses of several terms: the one that has no gradient, that drowns the others, or that grows while they fall."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from assay.doctor import operation_trace, rehearsal, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.operation_trace import Operation
from assay.doctor.subject import NotApplicableError, Subject

#: operations that add numbers up
SUMS = ("add", "__add__", "__radd__", "__iadd__", "add_", "sub", "__sub__", "sub_", "__isub__")
#: share of the gradient below which a term is drowned, and of its own value that it loses when it is alone
DROWNED, ALONE = 1e-3, 0.2
#: factor by which a term grows in a few steps
GROWS = 100.0
MOST = 16

Terms = list[Tensor]


def terms(subject: Subject) -> list[Problem]:
    """Of several terms the one without a gradient, and by rehearsal the one that is drowned or explodes."""
    if len(terms_of(subject.traced.operations, subject.traced.value)) < 2:
        raise NotApplicableError("the loss is not a sum of several terms")
    subject.model.train()
    found = _traced(subject)
    still = _without_gradient(subject, found)
    if still:
        return [_still(subject, one, len(found)) for one in still[:1]]
    return _rehearsed(subject)


def terms_of(operations: list[Operation], value: Tensor) -> Terms:
    """Tensors of one number that the loss is the sum of, as they were calculated, weights included."""
    made = {id(call.output): call for call in operations if isinstance(call.output, Tensor)}
    found: Terms = []

    def expand(one: Any, depth: int = 0) -> None:
        call = made.get(id(one))
        if not isinstance(one, Tensor) or len(found) >= MOST:
            return
        if call is not None and call.name in SUMS and one.numel() == 1 and depth < MOST:
            for part in call.args[:2]:
                expand(part, depth + 1)
        elif call is not None and call.name == "sum" and _stacked(call, made):
            for part in _stacked(call, made):
                expand(part, depth + 1)
        elif one.numel() == 1 and call is not None:
            found.append(one)

    expand(value)
    return found


def _stacked(call: Operation, made: dict[int, Operation]) -> list[Tensor]:
    """Numbers that were stacked before they were added."""
    before = made.get(id(call.argument(0, "input")))
    if before is None or before.name != "stack":
        return []
    return [one for one in tensor_tree.leaves(before.argument(0, "tensors")) if one.numel() == 1]


def _without_gradient(subject: Subject, found: Terms) -> list[int]:
    """Terms that depend on the model's output and are cut off from it, where another term is not."""
    cut = [at for at, one in enumerate(found) if not one.requires_grad]
    if not cut or len(cut) == len(found):
        return []
    names, moved = subject.trained, []
    kept = [one.detach().clone() for _, one in names]
    generator = torch.Generator().manual_seed(3)
    subject.reset()
    subject.model.train()
    with torch.no_grad():
        for _, one in names:
            one.add_(torch.randn(one.shape, generator=generator).to(one), alpha=0.1 * (float(one.abs().mean()) or 1.0))
    others = _traced(subject)
    with torch.no_grad():
        for (_, one), value in zip(names, kept, strict=True):
            one.copy_(value)
    if len(others) == len(found):
        moved = [at for at in cut if not torch.allclose(others[at], found[at], rtol=1e-5)]
    return moved


def _traced(subject: Subject) -> Terms:
    with operation_trace.recorded(subject.model) as seen:
        value = subject.value(subject.batch)
        return terms_of(seen.calls, _last(seen.calls, value))


def _last(calls: list[Operation], value: Tensor) -> Tensor:
    """The loss as the user's code made it, before `value` was reshaped."""
    return next((one.argument(0, "input") for one in reversed(calls) if one.output is value), value)


def _still(subject: Subject, at: int, count: int) -> Problem:
    value = terms_of(subject.traced.operations, subject.traced.value)[at]
    return Problem(
        places=["loss"],
        reason=f"term {at + 1} of {count} of the loss has no gradient, though the model moves it: it trains nothing",
        measured=f"{float(value.detach()):.4g}, without a gradient",
        threshold="a gradient",
        next_step="look for detach(), .item(), .data, no_grad or argmax in it, or leave it out of the loss",
    )


def _rehearsed(subject: Subject) -> list[Problem]:
    subject.reset()
    subject.model.train()
    found = _traced(subject)
    parameters = [one for _, one in subject.trained]
    sizes = [_length(one, parameters) for one in found]
    total = sum(sizes)
    if not math.isfinite(total) or total <= 0:
        return []
    first = [float(one.detach()) for one in found]
    ends = _after_own_steps(subject)
    if len(ends) != len(found):
        return []
    for at, (start, end) in enumerate(zip(first, ends, strict=True)):
        if math.isfinite(end) and end > GROWS * max(abs(start), 1e-6) and end > 0.9 * sum(map(abs, ends)):
            return [_problem(at, len(found), "explodes", f"{start:.3g} at the start, {end:.3g} after a few steps")]
    drowned = [at for at, size in enumerate(sizes) if 0 < size < DROWNED * total]
    for at in drowned[:1]:
        alone = _alone(subject, at)
        lost = first[at] - alone if math.isfinite(alone) else -math.inf
        if lost > ALONE * abs(first[at]) and first[at] - ends[at] < 0.1 * lost:
            largest = max(range(len(sizes)), key=sizes.__getitem__)
            said = (
                f"term {at + 1} has {100 * sizes[at] / total:.2g} % of the gradient and goes from {first[at]:.3g} to "
            )
            return [_problem(largest, len(found), "drowns the others", f"{said}{ends[at]:.3g}, alone to {alone:.3g}")]
    return []


def _length(term: Tensor, parameters: list[Any]) -> float:
    if not term.requires_grad:  # a constant
        return 0.0
    found = torch.autograd.grad(term, parameters, allow_unused=True, retain_graph=True)
    return math.sqrt(sum(float(one.double().norm()) ** 2 for one in found if one is not None))


def _after_own_steps(subject: Subject) -> list[float]:
    rehearsal.arm(subject, rehearsal.own_steps(subject), rehearsal.own_rule(subject))
    return [float(one.detach()) for one in _traced(subject)]


def _alone(subject: Subject, at: int) -> float:
    """The term's value after the doctor's own Adam has minimised nothing else."""
    whole = subject.loss
    try:
        subject.loss = _only(whole, at)
        rule = rehearsal.Adam([one for _, one in subject.trained], 1e-2)
        return rehearsal.arm(subject, rehearsal.own_steps(subject), rule.step, [subject.batch]).end
    finally:
        subject.loss = whole


def _only(loss: Callable[[Any, Any], Any], at: int) -> Callable[[Any, Any], Any]:
    """The loss that is one of its terms."""

    def term(output: Any, target: Any) -> Any:
        seen = operation_trace.Operations()
        with seen:
            value = loss(output, target)
        found = terms_of(seen.calls, value)
        if at >= len(found):
            raise NotApplicableError("the loss has other terms from batch to batch")
        return found[at]

    return term


def _problem(at: int, count: int, what: str, measured: str) -> Problem:
    return Problem(
        places=["loss"],
        reason=f"term {at + 1} of {count} of the loss {what}",
        measured=measured,
        threshold="terms that fall together",
        next_step="weigh the terms so that their gradients are of one size, and look at the sign of each",
    )


CHECKS = (Contract("loss-terms", "optimisation", 63, terms, "warning", "counterfactual"),)
