"""Contracts on gradients that the user has written: `torch.autograd.Function` against finite differences in float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from assay.doctor import tensor_tree
from assay.doctor.autograd_graph import forward_order
from assay.doctor.check_results import Contract, Problem
from assay.doctor.state_restoration import seed_all
from assay.doctor.subject import NotApplicableError, Subject

#: step of the differences in parts of the input's size, and how far two of them may be apart where a function is smooth
STEP, SMOOTH = 1e-5, 1e-3
#: difference of a gradient in parts of its size that is wrong
WRONG = 1e-2
#: directions that are tried, and how many must be wrong
DIRECTIONS = 3


def written_gradients(subject: Subject) -> list[Problem]:
    """The gradient of each function of the user's own, where it is smooth and no identity, as estimators are."""
    own = _functions(subject)
    if not own:
        raise NotApplicableError("there is no torch.autograd.Function of the program's own")
    found, judged, places = [], 0, _places(subject, own)
    for function, arguments in _called(subject, own):
        for at in [at for at, one in enumerate(arguments) if isinstance(one, Tensor) and one.requires_grad]:
            said = _compared(function, arguments, at)
            judged += said is not None
            if said:
                found.append(
                    Problem(
                        places=[places.get(function, function.__name__), function.__name__],
                        reason=f"the backward() of {function.__name__} is not the slope of its forward()",
                        measured=said,
                        threshold=f"{100 * WRONG:g} %",
                        next_step="compare with torch.autograd.gradcheck in float64",
                    )
                )
    if not judged:
        raise NotApplicableError("forward() is an identity, or has steps: a gradient of its own is what is wanted")
    return list({one.places[-1]: one for one in found}.values())


def _functions(subject: Subject) -> list[Any]:
    value = subject.traced.value
    if value.grad_fn is None:
        return []
    kinds = (getattr(type(one), "_forward_cls", None) for one in forward_order(value))
    return [one for one in dict.fromkeys(kinds) if one is not None and not one.__module__.startswith("torch.")]


def _places(subject: Subject, own: list[Any]) -> dict[Any, str]:
    """The innermost module in whose forward pass each function is called, as `model` where it is not known."""
    found: dict[Any, str] = {}
    subject.reset()
    subject.model.train()
    with subject.recorded() as seen, _noted(own, lambda one, _: found.setdefault(one, _module(seen))):
        output, target = subject.run(subject.batch)
        subject.loss(output, target)
    return found


def _module(seen: Any) -> str:
    return seen.modules[-1][0] if seen.modules else "loss"


def _called(subject: Subject, own: list[Any]) -> list[tuple[Any, list[Any]]]:
    """The first call of each function, its floating-point tensors as float64."""
    found: dict[Any, list[Any]] = {}
    subject.reset()
    subject.model.train()
    with _noted(own, lambda one, arguments: found.setdefault(one, [_doubled(each) for each in arguments])):
        output, target = subject.run(subject.batch)
        subject.loss(output, target)
    return list(found.items())


def _doubled(one: Any) -> Any:
    if not isinstance(one, Tensor) or not one.is_floating_point():
        return one
    return one.detach().double().clone().requires_grad_(one.requires_grad)


@contextmanager
def _noted(own: list[Any], note: Any) -> Iterator[None]:
    """While the block runs, `note(function, arguments)` at each call of one of the functions."""
    kept = [(one, vars(one).get("apply")) for one in own]
    try:
        for one in own:
            one.apply = _noting(one, one.apply, note)
        yield
    finally:
        for one, apply in kept:
            if apply is None:
                del one.apply
            else:
                one.apply = apply


def _noting(function: Any, apply: Any, note: Any) -> Any:
    def noted(*arguments: Any) -> Any:
        note(function, arguments)
        return apply(*arguments)

    return staticmethod(noted)


def _compared(function: Any, arguments: list[Any], at: int) -> str | None:
    """How far the gradient at one argument is from finite differences, '' where it agrees, None where none is to be."""
    value = arguments[at]
    output = _called_once(function, arguments)
    if output is None or (output.shape == value.shape and torch.equal(output, value)) or output.grad_fn is None:
        return None
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output)
    (slope,) = torch.autograd.grad((output * weight).sum(), value, allow_unused=True)
    if slope is None:
        return None
    wrong = []
    for _ in range(DIRECTIONS):
        way = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)
        size = STEP * max(float(value.detach().abs().mean()), 1e-3)
        far, near = (_difference(function, arguments, at, way * step, weight) / step for step in (size, size / 2))
        told = float((slope * way).sum())
        if far == 0 or abs(far - near) > SMOOTH * abs(far):
            return None
        if abs(told - near) > WRONG * max(abs(near), abs(told)):
            wrong.append(f"{told:.4g} instead of {near:.4g}")
    return wrong[0] if len(wrong) == DIRECTIONS else ""


def _called_once(function: Any, arguments: list[Any]) -> Tensor | None:
    seed_all()
    found = list(tensor_tree.leaves(function.apply(*arguments)))
    return found[0] if found and found[0].dtype == torch.float64 else None


@torch.no_grad()
def _difference(function: Any, arguments: list[Any], at: int, way: Tensor, weight: Tensor) -> float:
    values = []
    for sign in (1, -1):
        moved = [*arguments[:at], arguments[at].detach() + sign * way, *arguments[at + 1 :]]
        output = _called_once(function, moved)
        assert output is not None
        values.append(float((output * weight).sum()))
    return (values[0] - values[1]) / 2


CONTRACTS = (Contract("custom-gradients", "modes-layers", 93, written_gradients),)
