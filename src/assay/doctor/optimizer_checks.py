"""Contracts between model, gradients and optimizer: everything that should learn can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import start_checks
from assay.doctor.check_results import Contract, Problem
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: words in names of parameters that are meant to be trained alone
ADAPTERS = ("lora", "adapter", "prompt", "prefix", "bias")


def held_parameters(subject: Subject) -> list[Problem]:
    """Parameters that get a gradient but no step, where they lie behind a held one or beside it."""
    _with_optimizer(subject)
    names = subject.trained
    subject.model.train()
    gradients = subject.gradients(subject.batch, [one for _, one in names])
    reached = [pair for pair, gradient in zip(names, gradients, strict=True) if gradient is not None]
    missing = [(name, one) for name, one in reached if id(one) not in subject.held]
    held = [name for name, one in reached if id(one) in subject.held]
    if not missing or not held:
        return []
    order = _order_of_use(subject)
    first_held = min(order.get(_owner(name), 0) for name in held)
    before = all(order.get(_owner(name), 0) < first_held for name, _ in missing)
    alone = any(all(word in name.lower() for name in held) for word in ADAPTERS)
    level = "advice" if before or alone else "error"
    late = sorted((name for name, _ in missing), key=lambda name: -order.get(_owner(name), 0))
    return [
        Problem(
            places=late,
            reason=f"{len(missing)} parameters get gradients but are in no optimizer: they never change",
            measured=f"{len(held)} held, {len(missing)} missing",
            threshold="0 missing",
            next_step="give the optimizer model.parameters(), or freeze them with requires_grad_(False)",
            level=level,
        )
    ]


def foreign_parameters(subject: Subject) -> list[Problem]:
    """Parameters in the optimizer that the model no longer has."""
    _with_optimizer(subject)
    known = set(subject.twin) | _of_loss(subject.loss)
    foreign = [one for one in subject.given if id(one) not in known]
    missing = [(name, one) for name, one in subject.trained if id(one) not in subject.held]
    replaced = [name for name, one in missing if any(one.shape == other.shape for other in foreign)]
    if not foreign or not replaced:
        return []
    return [
        Problem(
            places=[*replaced[:2], "optimizer"],
            reason="the optimizer holds other parameters of the same shapes: the model's were replaced or made later",
            measured=f"{len(foreign)} of {len(subject.given)} are not the model's",
            threshold="0",
            next_step="make the optimizer after the last change of the model",
        )
    ]


def hidden_modules(subject: Subject) -> list[Problem]:
    """Layers in plain lists or dicts, and bare tensors: model.parameters() does not see, no optimizer holds them."""
    known = {id(one) for one in subject.model.parameters()}
    hidden = list(_hidden(subject.model, known))
    if not hidden:
        return []
    if not subject.copied:
        raise NotRunError("the model cannot be copied")
    subject.model.train()
    gradients = subject.gradients(subject.batch, [one for _, one in hidden])
    lost = [name for (name, _), gradient in zip(hidden, gradients, strict=True) if gradient is not None]
    own = {id(one) for _, one in _hidden(subject.plain, set(subject.twin))}
    if not lost or own & {id(one) for one in subject.given}:
        return []
    return [
        Problem(
            places=lost,
            reason="layers in a plain list, and bare tensors, are no part of model.parameters(): they never learn",
            measured=f"{len(lost)} parameters with a gradient",
            threshold="0",
            next_step="use nn.Parameter, nn.ModuleList, nn.ModuleDict or nn.ParameterList",
        )
    ]


def held_twice(subject: Subject) -> list[Problem]:
    """A parameter that takes two steps: in one optimizer twice (error), or in two (warning)."""
    _with_optimizer(subject)
    names = {id(one): name for name, one in subject.model.named_parameters()}
    counts = [
        Counter(id(one) for group in getattr(each, "param_groups", []) for one in group["params"])
        for each in subject.optimizers
    ]
    inside = [one for count in counts for one, times in count.items() if times > 1]
    across = [one for one, times in Counter(one for count in counts for one in count).items() if times > 1]
    twice = inside or across
    if not twice:
        return []
    places = [names.get(id(subject.twin.get(one)), "") for one in twice]
    return [
        Problem(
            places=[*filter(None, places[:2]), "optimizer"],
            reason="parameters stand twice in the optimizer" if inside else "two optimizers hold the same parameters",
            measured=f"{len(twice)} parameters",
            threshold="each once",
            next_step="give each parameter to one group of one optimizer",
            level="" if inside else "warning",
        )
    ]


def nothing_held_learns(subject: Subject) -> list[Problem]:
    """No parameter that an optimizer holds gets a gradient from any batch, although the loss has one."""
    _with_optimizer(subject)
    names = [(name, one) for name, one in subject.trained if id(one) in subject.held]
    subject.model.train()
    if not names or not subject.traced.value.requires_grad:
        raise NotApplicableError("no optimizer holds a parameter of the model, or the loss has no gradient")
    for seed, batch in enumerate(subject.train.batches):
        if any(one is not None for one in subject.gradients(batch, [one for _, one in names], seed)):
            return []
    return [
        Problem(
            places=["optimizer", names[0][0]],
            reason="none of the parameters that the optimizer holds gets a gradient: nothing is learned",
            measured=f"{len(names)} held, 0 with a gradient in {len(subject.train.batches)} batches",
            threshold="1 or more",
            next_step="give the optimizer the parameters that the loss depends on: model.parameters()",
        )
    ]


def cut_gradient(subject: Subject) -> list[Problem]:
    """A held parameter that moves the loss and whose gradient is exactly 0: detach, .data, rounding, no_grad."""
    _with_optimizer(subject)
    names = [(name, one) for name, one in subject.trained if id(one) in subject.held]
    if not names:
        raise NotApplicableError("no optimizer holds a parameter of the model")
    start_checks.take_steps_if_constant(subject)
    subject.model.train()
    silent = {name for name, _ in names}
    for seed, batch in enumerate(subject.train.batches):
        gradients = subject.gradients(batch, [one for _, one in names], seed)
        for (name, _), gradient in zip(names, gradients, strict=True):
            if gradient is not None and bool((gradient != 0).any()):
                silent.discard(name)
    if not silent:
        return []
    cut = [name for name, one in names if name in silent and _moves_loss(subject, one)]
    if not cut:
        return []
    return [
        Problem(
            places=cut,
            reason="the loss depends on these parameters, yet their gradient is exactly 0: the graph is cut",
            measured=f"{len(cut)} parameters that move the loss without a gradient",
            threshold="0",
            next_step="look for detach(), .data, .item(), no_grad or rounding between them and the loss",
        )
    ]


def learning_rate(subject: Subject) -> list[Problem]:
    """A rate of 0 everywhere, with no schedule to raise it."""
    _with_optimizer(subject)
    groups = [group for optimizer in subject.optimizers for group in optimizer.param_groups]
    rates = [float(group["lr"]) for group in groups if "lr" in group]
    if not rates or any(rate != 0 for rate in rates):
        return []
    if subject.schedulers or any(float(group.get("initial_lr", 0)) != 0 for group in groups):
        raise NotApplicableError("a schedule sets the rate")
    return [
        Problem(
            places=["optimizer lr"],
            reason="the learning rate is 0: nothing is learned",
            measured="0",
            threshold="more than 0",
            next_step="set lr",
        )
    ]


def scheduler_of_optimizer(subject: Subject) -> list[Problem]:
    """A schedule must drive an optimizer that is used."""
    _with_optimizer(subject)
    driven = [(one, getattr(one, "optimizer", None)) for one in subject.schedulers]
    if not any(optimizer is not None for _, optimizer in driven):
        raise NotApplicableError("no scheduler of torch was given")
    inner = [getattr(one, "optimizer", one) for one in subject.optimizers]
    known = [*subject.optimizers, *inner]
    lost = [one for one, optimizer in driven if optimizer is not None and not any(optimizer is each for each in known)]
    return [
        Problem(
            places=["scheduler", "optimizer lr"],
            reason=f"{type(one).__name__} drives another optimizer than the one that was given",
            next_step="make the scheduler from the optimizer that takes the steps",
        )
        for one in lost
    ]


def _with_optimizer(subject: Subject) -> None:
    if not any(hasattr(one, "param_groups") for one in subject.optimizers):
        raise NotApplicableError("no optimizer of torch was given")
    if not subject.trained:
        raise NotApplicableError("the model has no parameter to train")


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def _order_of_use(subject: Subject) -> dict[str, int]:
    """Dotted name of a module → how late it is called first."""
    found: dict[str, int] = {}
    handles = []

    def note(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:  # what a hook returns would replace the input
            found.setdefault(name, len(found))

        return hook

    for name, module in subject.model.named_modules():
        handles.append(module.register_forward_pre_hook(note(name)))
    try:
        subject.run(subject.batch)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _of_loss(loss: Any) -> set[int]:
    return {id(one) for one in loss.parameters()} if isinstance(loss, nn.Module) else set()


def _hidden(model: nn.Module, known: set[int]) -> Iterator[tuple[str, Tensor]]:
    for owner, module in model.named_modules():
        for name, value in vars(module).items():
            if name.startswith("_"):
                continue
            if isinstance(value, Tensor) and value.requires_grad and value.is_leaf and id(value) not in known:
                yield f"{owner}.{name}" if owner else name, value
            if not isinstance(value, dict | list | tuple):
                continue
            for key, one in value.items() if isinstance(value, dict) else enumerate(value):
                place = f"{owner}.{name}" if owner else name
                inside = one.named_parameters() if isinstance(one, nn.Module) else []
                inside = [("", one)] if isinstance(one, nn.Parameter) else inside
                for inner, parameter in inside:
                    if id(parameter) not in known and parameter.requires_grad:
                        yield f"{place}.{key}.{inner}".rstrip("."), parameter


def _moves_loss(subject: Subject, parameter: nn.Parameter) -> bool:
    """Whether another value of the parameter moves the loss, at equal random numbers, by more than rounding."""
    generator = torch.Generator().manual_seed(1)
    kept = parameter.detach().clone()
    with torch.no_grad():
        before = float(subject.value(subject.batch))
        repeated = float(subject.value(subject.batch))
        moved = []
        for size in (0.1, 1.0):
            noise = torch.randn(kept.shape, generator=generator).to(kept)
            scale = size * (float(kept.abs().mean()) or 1.0)
            parameter.copy_(kept + noise * scale)
            moved.append(abs(float(subject.value(subject.batch)) - before))
        parameter.copy_(kept)
    return before == repeated and max(moved) > 1e-5 * max(abs(before), 1e-3)


CONTRACTS = (
    Contract("parameters-held", "optimisation", 82, held_parameters),
    Contract("parameters-replaced", "optimisation", 88, foreign_parameters),
    Contract("parameters-hidden", "optimisation", 90, hidden_modules),
    Contract("parameters-twice", "optimisation", 89, held_twice),
    Contract("nothing-held-learns", "optimisation", 84, nothing_held_learns),
    Contract("gradient-cut", "optimisation", 86, cut_gradient),
    Contract("learning-rate", "optimisation", 90, learning_rate),
    Contract("scheduler-optimizer", "optimisation", 90, scheduler_of_optimizer),
)
