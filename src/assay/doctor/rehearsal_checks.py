"""Counterfactuals: what a few rehearsed steps show, against the same steps with one thing changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from assay.doctor import mixing_checks, rehearsal, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import input_and_target
from assay.doctor.rehearsal import Adam, OutputLosses
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: examples of the memory test
FEW = 8
#: share of the way from the best constant output to free outputs: less is nothing, more is learning
NOTHING, LEARNS = 0.1, 0.5
#: rates of the doctor's own Adam
RATES = (1e-2, 1e-1, 1e-3)
#: steps at the largest rate, which leave room for one more arm (`capacity_checks`)
FAST_STEPS = 18


def few_examples(subject: Subject) -> list[Problem]:
    """The doctor's own Adam, at several rates, tells a few examples apart no better than at the start."""
    found = memorised(subject)
    if found.best > NOTHING:
        return []
    return [
        Problem(
            places=["model", "loss"],
            reason=f"not even {FEW} examples are learned: what the model says of them apart does not get better",
            measured=f"{100 * max(found.best, 0):.0f} % of the way from loss {found.start:.3g} to {found.free:.3g}",
            threshold=f"{100 * NOTHING:.0f} %",
            next_step="look for a graph that is cut, dead units, or an output that cannot say what the targets ask",
        )
    ]


def ignored_inputs(subject: Subject) -> list[Problem]:
    """A few examples are learned with inputs of zero as well as with their own."""
    inputs, _ = input_and_target(_few(subject))
    if subject.forward is not None or not all(one.is_floating_point() for one in tensor_tree.leaves(inputs)):
        raise NotApplicableError("inputs are not floating-point numbers that can be set to zero")
    if not mixing_checks.uses_targets(subject, subject.batch):
        raise NotApplicableError("the loss does not use the targets")
    found = memorised(subject)
    if found.best < LEARNS:
        raise NotApplicableError("the few examples are not learned with their own inputs")
    own = {id(one) for one in tensor_tree.leaves(input_and_target(found.batch)[1])}
    zeroed = tensor_tree.mapped(lambda one: one if id(one) in own else torch.zeros_like(one), found.batch)
    if _told_apart_by_chance(subject, zeroed):
        raise NotApplicableError("dropout in functions tells rows apart: it does not draw anew in each step")
    without = _memorised(subject, zeroed, (found.rate,))
    if without.best < 0.9 * found.best:
        return []
    return [
        Problem(
            places=["model", "train_loader inputs"],
            reason="a few examples are learned as well when all inputs are zero: the answer comes from elsewhere",
            measured=f"{100 * without.best:.0f} % of the way without inputs, {100 * found.best:.0f} % with them",
            threshold="less without",
            next_step="look for targets, indices or places that reach the model beside the inputs",
        )
    ]


def _told_apart_by_chance(subject: Subject, batch: Any) -> bool:
    """Whether rows of equal inputs differ in training mode without dropout layers, and do not in evaluation."""
    subject.reset()
    subject.model.train()
    rehearsal.without_dropout(subject.model)
    with torch.no_grad(), rehearsal.buffers_kept(subject.model):
        made = [list(tensor_tree.leaves(subject.run(batch)[0])), subject.outputs(batch)]
    trains, evaluates = (any(_rows_differ(one) for one in each) for each in made)
    return trains and not evaluates


def _rows_differ(output: Tensor) -> bool:
    """By more than rounding."""
    return bool(output.ndim) and float((output - output[:1]).abs().max()) > 1e-4 * float(output.abs().max())


@dataclass(frozen=True)
class Memorised:
    """What Adam makes of a few examples: `best` share of the way from `start` to `free`, at `rate`."""

    batch: Any
    start: float
    free: float
    best: float
    rate: float


def memorised(subject: Subject) -> Memorised:
    """What Adam makes of the first examples; found once."""
    if "few examples" not in subject.memory:
        batch = _few(subject)
        subject.reset()
        try:
            subject.run(batch)
        except Exception as error:
            raise NotApplicableError(f"a part of a batch does not fit the model ({type(error).__name__})") from error
        subject.memory["few examples"] = _memorised(subject, batch, RATES)
    found: Memorised = subject.memory["few examples"]
    return found


def _memorised(subject: Subject, batch: Any, rates: tuple[float, ...]) -> Memorised:
    """Raises NotApplicableError where free outputs do no better than one constant output."""
    free = reach_of(subject, batch).free
    start, best, at = rehearsal.apart(subject, batch), -1.0, rates[0]
    for rate in rates:
        subject.reset()
        rule = Adam([one for _, one in subject.trained], rate)
        most = FAST_STEPS if rate == max(RATES) else rehearsal.STEPS
        arm = rehearsal.arm(subject, min(most, subject.budget // 4), rule.step, [batch], calm=True)
        end = rehearsal.apart(subject, batch) if arm.finite else math.inf
        gained = (start - end) / max(start - free, 1e-12)
        if gained > best:
            best, at = gained, rate
        if best > LEARNS or (best > NOTHING and rate == RATES[1]):
            break
    return Memorised(batch, start, free, best, at)


def settings(subject: Subject) -> list[Problem]:
    """A setting of the optimizer far from what is used, with which nothing is learned, where the usual one trains."""
    if len(subject.optimizers) != 1 or not callable(getattr(subject.optimizers[0], "step", None)):
        raise NotApplicableError("not one optimizer of torch was given")
    suspects = list(_suspects(subject.optimizers[0]))
    if not suspects:
        return []
    whole = subject.planned_steps is not None and subject.planned_steps <= rehearsal.own_steps(subject)
    if not whole and any(name != "weight_decay" for name, *_ in suspects):
        raise NotRunError("a rehearsal of a part of the planned run judges no rate; planned_steps says how long it is")
    reach = reach_of(subject, subject.batch)
    own = rehearsal.own_arm(subject)
    gained = reach.gained(own.end) if own.finite else 0.0
    if gained > NOTHING or (own.finite and not own.settled):
        return []
    for name, value, usual in suspects:
        for said, rule in _others(subject, name, usual):
            changed = rehearsal.arm(
                subject, max(len(own.losses) if own.finite else 0, rehearsal.own_steps(subject)), rule
            )
            better = reach.gained(changed.end) if changed.finite else 0.0
            if better > 3 * NOTHING and better > 3 * gained:
                return [
                    Problem(
                        places=[f"optimizer {name}"],
                        reason=f"nothing is learned with {name}={value:g}, and with {said} it is, from the same start",
                        measured=f"{100 * gained:.0f} % of the way, with {said} {100 * better:.0f} %",
                        threshold=f"{100 * NOTHING:.0f} %",
                        next_step=f"set {name} near {usual:g}",
                    )
                ]
    return []


def _others(subject: Subject, name: str, usual: float) -> Iterator[tuple[str, Callable[[], None]]]:
    """The usual value, and the doctor's own Adam beside it where it is the rate that is doubted."""
    yield f"{usual:g}", with_setting(subject, name, usual)
    if name == "lr":
        yield f"Adam at {RATES[0]:g}", Adam([one for _, one in subject.trained], RATES[0]).step


def non_finite_steps(subject: Subject) -> list[Problem]:
    """The program's own first steps end in a loss that is not finite, and steps a thousand times smaller do not."""
    own = rehearsal.own_arm(subject)
    if own.finite or not math.isfinite(own.start):
        return []
    if len(subject.optimizers) != 1 or not callable(getattr(subject.optimizers[0], "step", None)):
        raise NotApplicableError("not one optimizer of torch was given")
    rate = float(subject.optimizers[0].param_groups[0]["lr"])
    smaller = rehearsal.arm(subject, max(len(own.losses), 4), with_setting(subject, "lr", 1e-3 * rate))
    if not smaller.finite:
        return []
    return [
        Problem(
            places=["optimizer lr"],
            reason=f"the loss is not finite after {len(own.losses)} steps of the program's own, on a copy",
            measured=f"lr {rate:g}",
            threshold="with a thousandth of it all are finite",
            next_step="lower lr, or clip gradients",
        )
    ]


def _suspects(optimizer: Any) -> Iterator[tuple[str, float, float]]:
    """Settings far from what is used: name, value, the usual value."""
    group, adam = optimizer.param_groups[0], "betas" in optimizer.param_groups[0]
    rate = float(group.get("lr", 1e-3))
    usual = 1e-3 if adam else 1e-1
    if rate > 0 and not usual / 300 <= rate <= usual * 100:
        yield "lr", rate, usual
    if float(group.get("weight_decay", 0.0)) >= (2.0 if adam else 0.3):
        yield "weight_decay", float(group["weight_decay"]), 0.0
    if float(group.get("eps", 0.0)) >= 1e-2:
        yield "eps", float(group["eps"]), 1e-8
    if float(group.get("momentum", 0.0)) > 0.995:
        yield "momentum", float(group["momentum"]), 0.9
    if adam and (group["betas"][0] > 0.995 or not 0.5 <= group["betas"][1] < 1.0):
        yield "betas", float(group["betas"][0]), 0.9


def with_setting(subject: Subject, name: str, value: float) -> Callable[[], None]:
    """The user's optimizer with one setting changed, without schedule."""
    other = rehearsal.copied(subject.optimizers[0], subject)
    for group in other.param_groups:
        group[name] = (value, 0.999) if name == "betas" else value
    step: Callable[[], None] = other.step
    return step


def _few(subject: Subject) -> Any:
    size = tensor_tree.rows(subject.batch, subject.batch_dim)
    if size is None or size < 4:
        raise NotApplicableError("the batch has no one dimension of 4 examples or more")
    batch = tensor_tree.first_rows(subject.batch, FEW, subject.batch_dim)
    inputs, _ = input_and_target(batch)
    rows = [one for one in tensor_tree.leaves(inputs) if one.ndim > subject.batch_dim]
    count = min(FEW, size)
    keys = {
        tuple(one.select(subject.batch_dim, at).detach().cpu().numpy().tobytes() for one in rows) for at in range(count)
    }
    if len(keys) < count:
        raise NotApplicableError("examples of the first batch have the same inputs")
    return batch


def reach_of(subject: Subject, batch: Any) -> OutputLosses:
    """What outputs alone can reach. Raises NotApplicableError where free outputs do no better than a constant one."""
    subject.reset()
    subject.model.train()
    found = rehearsal.reach(subject, batch)
    if not math.isfinite(found.constant) or found.constant - found.free < 1e-3 * max(abs(found.constant), 1e-6):
        raise NotApplicableError("free outputs reach no lower loss than one constant output")
    return found


SOURCE = "counterfactual"
CHECKS = (
    Contract("steps-not-finite", "optimisation", 66, non_finite_steps, "warning", SOURCE),
    Contract("optimizer-settings", "optimisation", 65, settings, "warning", SOURCE),
    Contract("few-examples", "one-batch", 20, few_examples, "warning", SOURCE),
    Contract("inputs-ignored", "one-batch", 30, ignored_inputs, "warning", SOURCE),
)
