"""Rehearsals: a few steps of training on the copy, from its first state, as the user's program would take them.

Steps are counted against the budget of `examine`; processor time only stops. Nothing of the user's is stepped: his
optimizers and schedules are copied onto the copy's parameters. Covers: arms (own settings, changed settings, Adam
beside), and which losses constant and free outputs reach. Not covered: what an arm proves (`rehearsal_checks`).
"""

from __future__ import annotations

import copy
import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from assay.doctor import tensor_tree
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: processor seconds after which no further rehearsal begins
SECONDS = 60.0
#: steps of an arm, where the budget has room
STEPS = 30
#: of the order of examples
SEED = 17
#: of the optimization of outputs alone
OUTPUT_STEPS, OUTPUT_RATES = 100, (0.1, 1.0)


#: stands for a parameter that need not be given
_GIVEN = inspect.Parameter("closure", inspect.Parameter.KEYWORD_ONLY, default=None)


@dataclass(frozen=True)
class Rehearsed:
    """One rehearsal: loss of each step before it was taken, and that of the same batches before and after all."""

    losses: list[float]
    start: float
    end: float

    @property
    def finite(self) -> bool:
        return all(map(math.isfinite, [*self.losses, self.start, self.end]))

    @property
    def settled(self) -> bool:
        """Whether the last third of the steps lowered the loss by less than two standard errors."""
        third = len(self.losses) // 3
        if third < 3:
            return False
        before, after = self.losses[third : 2 * third], self.losses[2 * third :]
        error = math.sqrt(_variance(before) / len(before) + _variance(after) / len(after))
        return _mean(before) - _mean(after) < 2 * error + 1e-9 * abs(_mean(before))


def own_steps(subject: Subject) -> int:
    """Steps of an arm under the user's settings: the planned run where it is short, else what there is room for."""
    short = subject.planned_steps is not None and subject.planned_steps <= subject.budget // 3
    return subject.planned_steps or 0 if short else min(STEPS, subject.budget // 4)


def cut_short(subject: Subject) -> bool:
    """Whether the budget leaves an arm fewer steps than it would take: what has not happened yet may still happen."""
    return own_steps(subject) < min(STEPS, subject.planned_steps or STEPS)


def own_arm(subject: Subject, steps: int | None = None) -> Rehearsed:
    """The user's optimizer, schedule, clip and accumulation from the first state; made once."""
    count = own_steps(subject) if steps is None else steps
    key = f"own arm {count}"
    if key not in subject.memory:
        subject.memory[key] = arm(subject, count, own_rule(subject))
    found: Rehearsed = subject.memory[key]
    return found


def arm(
    subject: Subject,
    steps: int,
    rule: Callable[[], None],
    batches: Sequence[Any] | None = None,
    change: Callable[[Any], Any] | None = None,
    calm: bool = False,
) -> Rehearsed:
    """`steps` gradients, each with a call of `rule`, on `batches` or those of a shuffled epoch, as `change` makes them.

    `rule` updates the copy's parameters, which begin in their first state, by their gradients. `calm`: without dropout,
    and with the same random numbers in each step. Raises NotRunError where the budget is spent.
    """
    spend(subject, steps)
    given = [one if change is None else change(one) for one in batches or shuffled(subject, min(steps, 16))]
    looked = given[:3]
    subject.reset()
    subject.model.train()
    if calm:
        without_dropout(subject.model)
    start = _loss(subject, looked)
    losses = []
    for step in range(steps):
        losses.append(_gradients(subject, given, step, calm))
        if not math.isfinite(losses[-1]):
            return Rehearsed(losses, start, losses[-1])
        rule()
    return Rehearsed(losses, start, _loss(subject, looked))


def spend(subject: Subject, steps: int) -> None:
    """Take `steps` from the budget. Raises NotRunError where there are no more."""
    spent = subject.memory.get("spent", 0)
    if steps < 4 or spent + steps > subject.budget:
        raise NotRunError(f"the budget of {subject.budget} rehearsal steps has no room for {max(steps, 4)} more")
    if time.process_time() - subject.began > SECONDS:
        raise NotRunError(f"{SECONDS:g} processor seconds were spent")
    subject.memory["spent"] = spent + steps


def shuffled(subject: Subject, count: int) -> list[Any]:
    """Up to `count` batches like the loader's, shuffled; those that were drawn where examples cannot be had."""
    part = subject.train
    if part.examples is None or part.collate is None:
        return part.batches
    size = min(tensor_tree.rows(part.batches[0], subject.batch_dim) or 8, len(part.examples))
    order = torch.randperm(len(part.examples), generator=torch.Generator().manual_seed(SEED)).tolist()
    starts = range(0, max(len(order) - size + 1, 1), size)
    chosen = [order[start : start + size] for start in list(starts)[:count]]
    return [part.collate([part.examples[at] for at in rows]) for rows in chosen]


def _loss(subject: Subject, batches: Sequence[Any]) -> float:
    with buffers_kept(subject.model):
        return _mean([float(subject.value(one, 1000 + number).detach()) for number, one in enumerate(batches)])


def _gradients(subject: Subject, batches: Sequence[Any], step: int, calm: bool) -> float:
    """Put the gradients of one step into the copy's parameters; the loss."""
    parameters = [one for _, one in subject.trained]
    for one in parameters:
        one.grad = None
    total, count = 0.0, subject.accumulate
    for part in range(count):
        value = subject.value(batches[(step * count + part) % len(batches)], 0 if calm else step + 1)
        if not value.requires_grad:
            raise NotApplicableError("the loss has no gradient")
        (value / count).backward()  # type: ignore[no-untyped-call]
        total += float(value.detach()) / count
    if subject.clip:
        nn.utils.clip_grad_norm_(parameters, subject.clip)
    return total


def own_rule(subject: Subject) -> Callable[[], None]:
    optimizers = [copied(one, subject) for one in subject.optimizers]
    if not optimizers:
        raise NotApplicableError("no optimizer was given")
    memo = {id(own): twin for own, twin in zip(subject.optimizers, optimizers, strict=True)}
    schedules = [copy.deepcopy(one, dict(memo)) for one in subject.schedulers] if _each_step(subject) else []

    def rule() -> None:
        for one in optimizers:
            one.step()
        for one in schedules:
            one.step()

    return rule


def _each_step(subject: Subject) -> bool:
    if subject.schedulers and subject.scheduler_unit not in ("step", "epoch"):
        raise NotApplicableError("scheduler_unit was not given")
    return bool(subject.schedulers) and subject.scheduler_unit == "step"


def copied(optimizer: Any, subject: Subject) -> Any:
    """A copy of an optimizer over the copy's parameters, with its state.

    Where it has no step(): gradient descent where its group has a momentum, else Adam, at its rate.
    """
    if not hasattr(optimizer, "param_groups"):
        raise NotApplicableError(f"{type(optimizer).__name__} is no optimizer of torch")
    if not callable(getattr(optimizer, "step", None)):
        groups = optimizer.param_groups
        held = [subject.twin.get(id(one), one) for group in groups for one in group["params"]]
        rate = float(groups[0].get("lr", 1e-3))
        return Momentum(held, rate, groups[0]["momentum"]) if "momentum" in groups[0] else Adam(held, rate)
    if not subject.copied:
        raise NotRunError("the model cannot be copied, and so neither can its optimizer")
    if inspect.signature(optimizer.step).parameters.get("closure", _GIVEN).default is inspect.Parameter.empty:
        raise NotApplicableError(f"{type(optimizer).__name__} evaluates the loss itself")
    return copy.deepcopy(optimizer, dict(subject.twin))


class Adam:
    """Adam (Kingma and Ba 2015) over tensors that require a gradient; made without importing torch's optimizers."""

    def __init__(self, parameters: Sequence[Tensor], rate: float) -> None:
        self.parameters, self.rate, self.count = list(parameters), rate, 0
        self.first = [torch.zeros_like(one) for one in self.parameters]
        self.second = [torch.zeros_like(one) for one in self.parameters]

    @torch.no_grad()
    def step(self) -> None:
        self.count += 1
        for one, first, second in zip(self.parameters, self.first, self.second, strict=True):
            if one.grad is None or one.grad.is_complex() or one.grad.is_sparse:
                continue
            first.lerp_(one.grad, 0.1)
            second.lerp_(one.grad**2, 0.001)
            size = (second / (1 - 0.999**self.count)).sqrt_().add_(1e-8)
            one.addcdiv_(first, size, value=-self.rate / (1 - 0.9**self.count))


class Momentum:
    """Gradient descent with momentum; made without importing torch's optimizers."""

    def __init__(self, parameters: Sequence[Tensor], rate: float, momentum: float) -> None:
        self.parameters, self.rate, self.momentum = list(parameters), rate, momentum
        self.speeds = [torch.zeros_like(one) for one in self.parameters]

    @torch.no_grad()
    def step(self) -> None:
        for one, speed in zip(self.parameters, self.speeds, strict=True):
            if one.grad is not None and not one.grad.is_sparse:
                one.sub_(speed.mul_(self.momentum).add_(one.grad), alpha=self.rate)


def without_dropout(model: nn.Module) -> None:
    """Put dropout layers into evaluation mode, and leave all others as they are."""
    for one in model.modules():
        if isinstance(one, _DropoutNd):
            one.training = False


@contextmanager
def buffers_kept(model: nn.Module) -> Iterator[None]:
    kept = [(one, one.detach().clone()) for one in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for one, value in kept:
                one.detach().copy_(value)


@dataclass(frozen=True)
class OutputLosses:
    """Losses of one batch: of the best constant output, and the least that free outputs reach."""

    constant: float
    free: float

    def gained(self, loss: float) -> float:
        """Share of the way from the best constant output to free outputs that a loss has gone."""
        return (self.constant - loss) / max(self.constant - self.free, 1e-12)


def reach(subject: Subject, batch: Any) -> OutputLosses:
    """What outputs alone can reach on a batch, in the mode in which the model is.

    Raises NotApplicableError where the loss is random on equal outputs.
    """
    loss, free = loss_of_outputs(subject, batch)
    _refuse_random(loss, free)
    constant = least(loss, [one.mean(subject.batch_dim, keepdim=True) for one in free], free)
    return OutputLosses(constant, min(least(loss, free, free), constant))


def apart(subject: Subject, batch: Any) -> float:
    """Least loss of the model's outputs plus one row that is the same for all: what it says of examples apart."""
    loss, made = loss_of_outputs(subject, batch)
    rows = [one.mean(subject.batch_dim, keepdim=True) for one in made]
    return least(lambda moved: loss([a + b for a, b in zip(made, moved, strict=True)]), rows, made)


def loss_of_outputs(subject: Subject, batch: Any) -> tuple[Callable[[Sequence[Tensor]], Tensor], list[Tensor]]:
    """The loss of a batch by its outputs, and the model's own outputs."""
    output, target = subject.run(batch)
    made = [one.detach() for one in tensor_tree.leaves(output) if one.is_floating_point()]
    if not made or len(list(tensor_tree.leaves(output))) != len(made):
        raise NotApplicableError("the output is not made of floating-point tensors")
    if any(one.ndim <= subject.batch_dim for one in made):
        raise NotApplicableError("not every output has a row for each example")

    def loss(rows: Sequence[Tensor]) -> Tensor:
        left = iter(rows)
        given = tensor_tree.mapped(lambda _: next(left), output)
        try:
            return _one_number(subject.loss(given, target))
        except (RuntimeError, ValueError) as error:
            raise NotApplicableError(f"the loss refuses free outputs ({type(error).__name__})") from error

    return loss, made


def _refuse_random(loss: Callable[[Sequence[Tensor]], Tensor], free: Sequence[Tensor]) -> None:
    one, two = (float(loss(free).detach()) for _ in range(2))
    if one != two and math.isfinite(one):
        raise NotApplicableError("the loss is random on equal outputs")


def least(
    loss: Callable[[Sequence[Tensor]], Tensor],
    first: Sequence[Tensor],
    shapes: Sequence[Tensor],
    from_first: bool = False,
) -> float:
    """The least loss that Adam finds from outputs of zero, which are spread over the batch where they are one row.

    `from_first`: from `first` itself, where zero is no place to begin at.
    """
    found = math.inf
    for rate in OUTPUT_RATES:
        rows = [(one.clone() if from_first else torch.zeros_like(one)).requires_grad_() for one in first]
        rule = Adam(rows, rate)
        for _ in range(OUTPUT_STEPS):
            value = loss([one.expand_as(shape) for one, shape in zip(rows, shapes, strict=True)])
            if not value.requires_grad:
                raise NotApplicableError("the loss has no gradient")
            found = min(found, _or_infinite(float(value.detach())))
            grads = torch.autograd.grad(value, rows, allow_unused=True)
            for one, grad in zip(rows, grads, strict=True):
                one.grad = grad
            rule.step()
    return found


def _one_number(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise NotApplicableError("the loss is not one number")
    return value.reshape(())


def _or_infinite(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sum((one - mean) ** 2 for one in values) / max(len(values) - 1, 1)
