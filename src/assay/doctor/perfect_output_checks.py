"""Contracts on a loss by outputs that are known to be right or wrong, and on the first losses themselves.

Covers: losses that are not finite at the start, that like wrong outputs better, that want probabilities, that divide by
an output which may be 0. Not covered: logits (`loss_alone_checks`), ranges of last activations (`target_checks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.loss_alone_checks import Alone, alone, of_logits
from assay.doctor.subject import NotApplicableError, Subject

#: fewest values of targets that are no classes
VALUES = 8
#: differences of a loss, in parts of its size, that are no rounding
CLEAR = 0.05
#: distance from 0 at which a division shows, size that it then has, and most columns of an output that are tried
NEAR, POLE, COLUMNS = 1e-6, 1e3, 8
#: operations that fill masks, with infinity on purpose, and those that make an infinity by mistake
MASKS, ENDLESS = ("masked_fill", "full", "triu", "tril", "where"), ("log", "log2", "exp", "pow", "rsqrt", "div")
#: how far beyond 0 outputs are tried
OUTSIDE = 0.02
#: share of outputs beyond [0, 1] from which they are no probabilities
BEYOND = 0.05


def first_losses(subject: Subject) -> list[Problem]:
    """The loss of the first batches, before any step, must be finite where the data are."""
    subject.model.train()
    if not all(tensor_tree.finite(one) for batch in subject.train.batches for one in tensor_tree.leaves(batch)):
        raise NotApplicableError("the data are not finite themselves")
    for seed, batch in enumerate(subject.train.batches):
        with torch.no_grad():
            value = float(subject.value(batch, seed))
        if not math.isfinite(value):
            place, what = _first_not_finite(subject, batch, seed)
            return [
                Problem(
                    places=[place, "loss", "model"],
                    reason=f"the loss is not finite before the first step{what}",
                    measured=f"{value} in batch {seed}",
                    threshold="a finite loss of finite data",
                    next_step="look for log, a division, sqrt or exp at the edge of what it takes",
                )
            ]
    return []


def _first_not_finite(subject: Subject, batch: object, seed: int) -> tuple[str, str]:
    """Where the first operation stands whose result is not finite, past masks that are filled with infinity."""
    with subject.recorded() as seen, torch.no_grad():
        output, target = subject.run(batch, seed)
        count = len(seen.calls)
        subject.loss(output, target)
    for at, call in enumerate(seen.calls):
        made = call.output
        if not isinstance(made, Tensor) or not made.is_floating_point() or call.name.startswith(MASKS):
            continue
        place = "loss" if at >= count else call.module or "model"
        if bool(made.isnan().any()):
            return place, f": {call.name} makes a NaN first"
        if call.name in ENDLESS and bool(made.isinf().any()):
            return place, f": {call.name} makes an infinity first"
    return "loss", ""


def likes_wrong(subject: Subject) -> list[Problem]:
    """Outputs equal to the targets must cost less than the same numbers given to other examples."""
    given = alone(subject)
    target = given.target
    if (
        target.shape != given.output.shape
        or not target.is_floating_point()
        or len(set(target.flatten().tolist())) < VALUES
    ):
        raise NotApplicableError("targets are not numbers in the shape of the outputs")
    right = given.values(target.clone())
    wrong = [given.values(target.roll(shift, given.target_rows)) for shift in (1, 2, 3)]
    if not all(map(math.isfinite, (right, *wrong))):
        raise NotApplicableError("the loss of such outputs is not finite")
    size = max(abs(right), *map(abs, wrong))
    if min(right - one for one in wrong) <= CLEAR * size:
        return []
    return [
        Problem(
            places=["loss"],
            reason="the loss is larger for outputs that are the targets than for those of other examples: it is "
            "minimised by being wrong",
            measured=f"{right:.3g} for perfect outputs, {max(wrong):.3g} at most for exchanged ones",
            threshold="less for perfect outputs",
            next_step="look at the sign: a similarity is maximised, as 1 - similarity or -similarity",
        )
    ]


def wants_probabilities(subject: Subject) -> list[Problem]:
    """A loss that is 0 for shares of 0 and 1 and falls further beyond them, and outputs that go beyond."""
    given = alone(subject)
    shares = _one_hot(given)
    beyond = ((given.output < -0.01) | (given.output > 1.01)).float().mean()
    if float(beyond) < BEYOND:
        return []
    if of_logits(given):
        raise NotApplicableError("a number added to all outputs changes nothing: the loss wants logits")
    perfect, even = given.values(shares), given.values(torch.full_like(shares, 0.5))
    outside = given.values((1 + OUTSIDE) * shares - OUTSIDE)
    if not all(map(math.isfinite, (perfect, even, outside))) or even <= perfect:
        return []
    scale = even - perfect
    if abs(perfect) > CLEAR * scale or outside >= perfect - OUTSIDE * scale:
        return []
    return [
        Problem(
            places=["loss", "model"],
            reason="the loss wants shares between 0 and 1 and is given others: beyond them it falls below perfect",
            measured=f"{perfect:.3g} for perfect shares, {outside:.3g} for {-OUTSIDE:g} in place of 0; "
            f"{100 * float(beyond):.0f} % of the outputs are beyond",
            threshold="outputs within [0, 1]",
            next_step="put sigmoid or softmax before it",
        )
    ]


def _one_hot(given: Alone) -> Tensor:
    """Targets as shares of 0 and 1 in the shape of the outputs."""
    output, target = given.output, given.target
    if target.shape == output.shape and bool(((target == 0) | (target == 1)).all()):
        return target.to(output)
    classes = output.ndim > 1 and not target.is_floating_point() and output[:, 0].shape == target.shape
    if not classes or not 0 <= int(target.min()) <= int(target.max()) < output.shape[1]:
        raise NotApplicableError("targets are no classes of the outputs")
    return F.one_hot(target, output.shape[1]).movedim(-1, 1).to(output)


def divides_by_output(subject: Subject) -> list[Problem]:
    """A loss that has a pole at 0 of an output which takes both signs: without end on both sides."""
    given = alone(subject)
    if given.output.ndim > 2:
        raise NotApplicableError("the output has not one row for each example")
    for column, name in _columns(given.output):
        if not bool((given.output[column] > 0).any()) or not bool((given.output[column] < 0).any()):
            continue
        usual = abs(given.values(given.output))
        sides = []
        for sign in (1.0, -1.0):
            moved = given.output.clone()
            moved[column] = sign * NEAR
            sides.append(given.values(moved))
        if not all(map(math.isfinite, (usual, *sides))):
            continue
        if min(map(abs, sides)) > POLE * max(usual, 1.0) and sides[0] * sides[1] < 0:
            return [
                Problem(
                    places=["loss", "model"],
                    reason=f"the loss divides by {name}, which takes both signs: it has no lower bound",
                    measured=f"{sides[0]:.2g} for {NEAR:g} there, {sides[1]:.2g} for {-NEAR:g}",
                    threshold="a value of one sign",
                    next_step="make it positive: exp(output) for a logarithm of a variance, or softplus(output) + 1e-6",
                )
            ]
    return []


def _columns(output: Tensor) -> Iterator[tuple[tuple[slice, int] | slice, str]]:
    if output.ndim == 1:
        yield slice(None), "the output"
        return
    for at in range(min(output.shape[1], COLUMNS)):
        yield (slice(None), at), f"output {at}"


CONTRACTS = (
    Contract("first-loss-finite", "modes-layers", 79, first_losses),
    Contract("loss-likes-wrong", "loss-contract", 89, likes_wrong),
    Contract("loss-wants-probabilities", "loss-contract", 90, wants_probabilities, "warning"),
    Contract("loss-divides", "loss-contract", 90, divides_by_output),
)
