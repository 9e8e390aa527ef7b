"""What a loss asks for at its least: outputs that the model cannot give, or one and the same answer for all examples.

Free outputs take the place of the model's and go down the loss. Covers: losses that one answer satisfies, bounds of the
model's outputs (found by making its last weights large), targets that are all one class. Not covered: which last
activation it is (`target_checks`), losses that are random on equal outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from assay.doctor import mixing_checks, rehearsal, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import input_and_target
from assay.doctor.rehearsal import OutputLosses
from assay.doctor.subject import NotApplicableError, Subject

#: share of the way to free outputs that the best single answer leaves, below which it satisfies the loss
LEFT = 1e-3
#: the same, by which the search for free outputs may end above one answer
SEARCH = 0.05
#: share of the way that bounds of the output may cost
COST = 0.1
#: factors of the last weights; growth between them from which outputs have no bound; room beyond what was seen
LARGE, GROWS, ROOM = (1e3, 1e6), 1.01, 0.5
#: share of outputs at their limit from which that is the bound
SATURATED = 0.1
#: how far below the best single answer a loss with a floor may go, in parts of it
FLOOR = 100.0
FEWEST = 4


def one_answer(subject: Subject) -> list[Problem]:
    """A loss that one answer for all examples makes as small as free outputs do, though targets differ."""
    size = _rows(subject)
    target = _target(subject)
    rows = target.movedim(subject.batch_dim, 0) if target.ndim > subject.batch_dim else target
    if len(rows) != size or bool((rows == rows[:1]).all()):
        raise NotApplicableError("targets have no row for each example, or all of them are equal")
    if not mixing_checks.uses_targets(subject, subject.batch):
        raise NotApplicableError("the loss does not use the targets")
    subject.model.train()
    with torch.no_grad():
        start = float(subject.value(subject.batch))
    if not _satisfied(subject, subject.batch, start):
        return []
    found = _reach(subject, subject.batch, start)
    way = start - found.free
    if not all(map(math.isfinite, (start, found.constant, found.free))) or way <= LEFT * max(abs(start), 1e-3):
        raise NotApplicableError("free outputs reach no lower loss than the model's own")
    if found.free < -LEFT * abs(start):
        raise NotApplicableError("the least of the loss is not 0")
    if found.constant - found.free > LEFT * way or _costs_wrong(subject, size, start):
        return []
    return [
        Problem(
            places=["loss", "train_loader targets"],
            reason="one answer for all examples makes the loss as small as any outputs can, though targets differ: "
            "nothing but that answer is learned",
            measured=f"{found.constant:.3g} for the best single answer, {found.free:.3g} for free outputs",
            threshold="less for free outputs",
            next_step="look for the term of the other class, and for labels of 0 where the loss wants -1",
        )
    ]


def _reach(subject: Subject, batch: Any, start: float) -> OutputLosses:
    """Losses of the best single answer and of free outputs, from zero and from the model's own outputs."""
    loss, made = rehearsal.loss_of_outputs(subject, batch)
    one = [each.mean(subject.batch_dim, keepdim=True) for each in made]
    constant, free = (
        min(rehearsal.least(loss, first, made), rehearsal.least(loss, first, made, from_first=True))
        for first in (one, made)
    )
    if free > constant + SEARCH * abs(start - constant):
        raise NotApplicableError("free outputs were not brought down to the loss of one answer")
    return OutputLosses(constant, min(free, constant))


def _satisfied(subject: Subject, batch: Any, start: float) -> bool:
    """Whether one answer brings the loss of a batch down to next to 0."""
    loss, made = rehearsal.loss_of_outputs(subject, batch)
    one = [each.mean(subject.batch_dim, keepdim=True) for each in made]
    return rehearsal.least(loss, one, made, from_first=True) <= SEARCH * abs(start)


def _costs_wrong(subject: Subject, size: int, start: float) -> bool:
    """Whether one answer does not satisfy a second batch, of other targets: the first may have been a chance."""
    others = [one for one in subject.train.batches[1:] if tensor_tree.rows(one, subject.batch_dim) == size]
    return any(not _satisfied(subject, batch, start) for batch in others[:1])


@dataclass(frozen=True)
class Bounds:
    """Least and largest output that a model gives, however large its last weights are; infinite where there is none."""

    low: float
    high: float

    @property
    def any(self) -> bool:
        return math.isfinite(self.low) or math.isfinite(self.high)


def out_of_reach(subject: Subject) -> list[Problem]:
    """Outputs that the loss asks for and the model cannot give, however large its last weights are."""
    _rows(subject)
    bounds = bounds_of(subject)
    if not bounds.any:
        return []
    subject.reset()
    subject.model.train()
    loss, made = rehearsal.loss_of_outputs(subject, subject.batch)
    if len(made) != 1:
        raise NotApplicableError("the model returns several tensors")
    found = rehearsal.reach(subject, subject.batch)
    _refuse_bottomless(found.constant, found.free)
    way = found.constant - found.free
    if not math.isfinite(way) or way <= LEFT * max(abs(found.constant), 1e-3):
        raise NotApplicableError("free outputs reach no lower loss than one constant output")
    held = rehearsal.least(_within(loss, bounds), made, made)
    cost = (held - found.free) / way
    if cost < COST:
        return []
    return [
        Problem(
            places=["model", "loss"],
            reason="the model cannot give the outputs that the loss asks for: they are bounded, however large its last "
            "weights are",
            measured=f"outputs within [{bounds.low:.3g}, {bounds.high:.3g}]; at best a loss of {held:.3g}, "
            f"free outputs {found.free:.3g}, one constant output {found.constant:.3g}",
            threshold=f"{100 * COST:.0f} % of the way lost",
            next_step="look at the last activation, the factor behind it (a temperature divides), and at whether the "
            "loss wants logarithms",
        )
    ]


def _within(loss: Callable[[Sequence[Tensor]], Tensor], bounds: Bounds) -> Callable[[Sequence[Tensor]], Tensor]:
    return lambda rows: loss([one.clamp(bounds.low, bounds.high) for one in rows])


def bounds_of(subject: Subject) -> Bounds:
    """Bounds of the only output, by last weights that are a thousand and a million times larger, of either sign."""
    held = _last_parameters(subject)
    if not held:
        raise NotApplicableError("no operation with a trained parameter was seen")
    (low, high, _, _), (lower, higher, at_low, at_high) = [_extremes(subject, held, factor) for factor in LARGE]
    spread = higher - lower
    own = subject.outputs(subject.batch)[0]
    subject.reset()
    if spread <= 0 or float(own.min()) < lower - ROOM * spread or float(own.max()) > higher + ROOM * spread:
        raise NotApplicableError("outputs do not grow with the last weights")
    # a limit at which many outputs stand is the bound itself; else there may be room beyond what was seen
    room = [0.0 if share >= SATURATED else ROOM * spread for share in (at_low, at_high)]
    return Bounds(
        -math.inf if _grew(-low, -lower, spread) else lower - room[0],
        math.inf if _grew(high, higher, spread) else higher + room[1],
    )


def _grew(before: float, after: float, spread: float) -> bool:
    return after > before + (GROWS - 1) * max(abs(before), 1e-6 * spread)


def _extremes(subject: Subject, names: list[str], factor: float) -> tuple[float, float, float, float]:
    """Least and largest output, and the shares of outputs that stand there."""
    found = []
    for sign in (1.0, -1.0):
        subject.reset()
        parameters = dict(subject.model.named_parameters())
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name in names:
                one = parameters[name]
                size = float(one.square().mean().sqrt()) or 1.0  # zero heads and LoRA begin at 0
                one.add_(torch.randn(one.shape, generator=generator).to(one), alpha=0.1 * size).mul_(sign * factor)
        made = subject.outputs(subject.batch)
        subject.reset()
        if len(made) != 1 or not bool(made[0].isfinite().all()):
            raise NotApplicableError("outputs are several tensors, or not finite with large weights")
        found.append(made[0].flatten())
    all_made = torch.cat(found)
    low, high = float(all_made.min()), float(all_made.max())
    near = 1e-3 * (high - low) + 1e-12
    shares = (all_made < low + near).double().mean(), (all_made > high - near).double().mean()
    return low, high, float(shares[0]), float(shares[1])


def _last_parameters(subject: Subject) -> list[str]:
    """Parameters of the last operation of the forward pass that has any that are trained."""
    names = {id(one): name for name, one in subject.trained}
    for call in reversed(subject.traced.of_model):
        found = [names[id(one)] for one in tensor_tree.leaves([*call.args, call.named]) if id(one) in names]
        if found:
            return found
    return []


def _refuse_bottomless(constant: float, free: float) -> None:
    if free < constant - FLOOR * max(abs(constant), 1.0):
        raise NotApplicableError("the loss has no lower bound: what it asks for is not known")


def _rows(subject: Subject) -> int:
    size = tensor_tree.rows(subject.batch, subject.batch_dim)
    if size is None or size < FEWEST:
        raise NotApplicableError(f"the batch has no one dimension of {FEWEST} examples or more")
    return size


def _target(subject: Subject) -> Tensor:
    target = subject.traced.target
    if not isinstance(target, Tensor) or target.ndim == 0:
        raise NotApplicableError("the target is not one tensor with rows")
    return target


def one_class(subject: Subject) -> list[Problem]:
    """Class targets of cross_entropy that are one class: at all places of all examples, or for all rows of a table."""
    calls = [one for one in subject.traced.of_loss if one.name in ("cross_entropy", "nll_loss")]
    target, output = subject.traced.target, subject.traced.output
    if not calls or not isinstance(target, Tensor) or target.is_floating_point() or not isinstance(output, Tensor):
        raise NotApplicableError("the loss does not give class targets to cross_entropy or nll_loss")
    seen = [subject.run(batch)[1] for batch in subject.train.batches]
    kinds = {int(one) for each in seen for one in torch.unique(each)}
    if len(kinds) > 1:
        return []
    own = input_and_target(subject.batch)[1]
    loaded = isinstance(own, Tensor) and own.shape == target.shape and torch.equal(own, target)
    table = output.ndim == 2 and output.shape[0] == output.shape[1] and target.shape == output.shape[:1]
    if not (loaded and target.ndim > 1) and not table:
        raise NotApplicableError("targets of one class are made by the loop itself, or looked at by one-label")
    count = sum(one.numel() for one in seen)
    return [
        Problem(
            places=["train_loader targets" if loaded else "forward", "loss"],
            reason=f"all targets are class {kinds.pop()}"
            + ("" if loaded else ": each row of the table of likenesses is told that the same column is its own"),
            measured=f"1 class in {count} targets",
            threshold="2 or more",
            next_step="look at how masks are read (a division before the cast to integers)"
            if loaded
            else "use torch.arange(len(output)) where row i belongs to column i",
        )
    ]


CONTRACTS = (Contract("targets-of-one-class", "data", 90, one_class),)
CHECKS = (
    Contract("loss-one-answer", "loss-contract", 87, one_answer, "warning", "counterfactual"),
    Contract("outputs-out-of-reach", "loss-contract", 74, out_of_reach, "warning", "counterfactual"),
)
