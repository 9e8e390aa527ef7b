"""Counterfactuals on the pace of a run: at this rate, or from these weights, the planned steps lead nowhere.

The pace is that of a few steps on the copy, drawn out over `planned_steps`; a finding needs an arm beside it, of the
same number of steps, that learns. Without `planned_steps` nothing is judged but a rate that throws weights about.
"""

from __future__ import annotations

import math
from statistics import median

import torch
from torch import Tensor, nn

from assay.doctor import rehearsal, tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.rehearsal import Adam, OutputLosses, Rehearsed
from assay.doctor.rehearsal_checks import NOTHING, SOURCE, reach_of, with_setting
from assay.doctor.schedule_checks import rates_of
from assay.doctor.subject import NotApplicableError, Subject

#: rate of the doctor's own Adam beside
RATE = 1e-2
#: share of the way that the arm beside has to go
LEARNS = 0.3
#: size of an update in sizes of the weight, of the median layer, from which weights are thrown about
THROWN = 0.2
#: factor by which a rate is lowered to see whether it was the rate
LOWER = 1 / 30
#: steps of a planned run that is rehearsed whole, and how many more are tried
SHORT, MORE = 20, 5
#: planned steps, and share of the way that the arm beside goes, from which it is a warning: of a model that begins not
#: far better than one constant output
LONG, SURE = 100, 0.5


def update_to_weight(subject: Subject) -> list[Problem]:
    """Updates as large as the weights, where smaller ones train."""
    return _too_large(subject, *_steps(subject))


def pace(subject: Subject) -> list[Problem]:
    """Updates that are far too small for the planned run, where others train.

    Advice: it draws a few steps out over the planned run, and a right program that stands still at first, or changes
    little on purpose, looks the same (two of 156 did). A warning where an untrained model stands still beside an arm
    that learns, in a run that is not short.
    """
    return _too_small(subject, *_steps(subject))


def _steps(subject: Subject) -> tuple[OutputLosses, Rehearsed]:
    if len(subject.optimizers) != 1 or not callable(getattr(subject.optimizers[0], "step", None)):
        raise NotApplicableError("not one optimizer of torch was given")
    reach = reach_of(subject, subject.batch)
    own = rehearsal.own_arm(subject)
    if len(own.losses) < 4 or not own.finite:
        raise NotApplicableError("steps that end in a loss which is not finite are looked at elsewhere")
    return reach, own


def _too_large(subject: Subject, reach: OutputLosses, own: Rehearsed) -> list[Problem]:
    if reach.gained(own.end) > 0 or own.end < own.start:
        return []
    size = _update(subject)
    if size < THROWN:
        return []
    groups = subject.optimizers[0].param_groups
    rate = float(groups[0]["lr"])
    lower = rehearsal.arm(subject, len(own.losses), with_setting(subject, "lr", LOWER * rate))
    better = reach.gained(lower.end) if lower.finite else 0.0
    if better < LEARNS:
        return []
    return [
        _problem(
            ["optimizer lr"],
            "each update is of the size of the weights, and the loss rises; a thirtieth of the rate trains",
            f"updates of {size:.2g} of the weights; {100 * better:.0f} % of the way with lr={LOWER * rate:.2g}",
            f"{THROWN:g} of the weights",
            f"set lr near {LOWER * rate:.2g}, or warm up",
        )
    ]


def _too_small(subject: Subject, reach: OutputLosses, own: Rehearsed) -> list[Problem]:
    planned = subject.planned_steps
    if planned is None:
        raise NotApplicableError("planned_steps was not given: a long run may get there")
    gone = _pace(own, reach) * max(planned / len(own.losses), 1) * _schedule_ahead(subject, len(own.losses))
    if gone > NOTHING:
        return []
    if planned <= SHORT and _whole_set(subject):
        return _longer(subject, reach, own)
    beside = rehearsal.arm(subject, len(own.losses), Adam([one for _, one in subject.trained], RATE).step)
    better = reach.gained(beside.end) if beside.finite else 0.0
    said = f"{100 * max(gone, 0):.1f} % of the way in {planned} steps at the pace of the first {len(own.losses)}"
    if better >= LEARNS:
        plain = planned >= LONG and better >= SURE and reach.gained(own.start) <= LEARNS
        return [
            _problem(
                _blamed(subject),
                "updates are too small for the planned run, and the doctor's own Adam trains the same model",
                f"{said}; Adam at {RATE:g} goes {100 * better:.0f} % in {len(own.losses)}; "
                f"updates of {_update(subject):.1e} of the weights",
                f"{100 * NOTHING:.0f} % of the way",
                "look at the rate, the schedule's factor, the largest gradient norm and eps",
                "warning" if plain else "",
            )
        ]
    return _other_weights(subject, reach, own, said)


def _longer(subject: Subject, reach: OutputLosses, own: Rehearsed) -> list[Problem]:
    more = rehearsal.arm(subject, MORE * len(own.losses), rehearsal.own_rule(subject))
    better = reach.gained(more.end) if more.finite else 0.0
    if better < LEARNS:
        return []
    return [
        _problem(
            ["train_loader batch_size", "optimizer lr"],
            "the whole data are one batch, and the few steps of the planned run lead nowhere",
            f"{len(own.losses)} steps; {100 * better:.0f} % of the way in {MORE * len(own.losses)}",
            f"{100 * NOTHING:.0f} % of the way",
            "use smaller batches, or more epochs",
        )
    ]


def _other_weights(subject: Subject, reach: OutputLosses, own: Rehearsed, said: str) -> list[Problem]:
    """Whether torch's own first weights train where the given ones do not."""
    place = _oddest(subject.model)
    with subject.started(_initialised):
        other = rehearsal.arm(subject, len(own.losses), rehearsal.own_rule(subject))
    better = max(reach.gained(other.end), _pace(other, reach)) if other.finite else 0.0
    if better < LEARNS or not place:
        return []
    return [
        _problem(
            [place, "model"],
            "from these first weights the planned run leads nowhere, and torch's own initialisation trains",
            f"{said}; from torch's own weights {100 * better:.0f} % in {len(own.losses)}",
            f"{100 * NOTHING:.0f} % of the way",
            "nn.init.kaiming_uniform_ for ReLU, xavier for tanh, or leave the weights as torch makes them",
        )
    ]


def _initialised(model: nn.Module) -> None:
    with torch.no_grad():
        for one in model.modules():
            again = getattr(one, "reset_parameters", None)
            if callable(again) and any(each.requires_grad for each in one.parameters(recurse=False)):
                again()


def _oddest(model: nn.Module) -> str:
    """The matrix whose weights are farthest from the size that torch gives them."""
    sizes = {
        name: abs(math.log(max(float(one.detach().square().mean().sqrt()) * math.sqrt(3 * one[0].numel()), 1e-30)))
        for name, one in model.named_parameters()
        if one.requires_grad and one.ndim > 1
    }
    return max(sizes, key=lambda name: sizes[name]) if sizes else ""


def _pace(arm: Rehearsed, reach: OutputLosses) -> float:
    """Share of the way from the loss at the start to free outputs that an arm has gone."""
    return (arm.start - arm.end) / max(arm.start - reach.free, 1e-12)


def _schedule_ahead(subject: Subject, steps: int) -> float:
    """How much larger the mean rate of the planned run is than that of its first steps; 1 where it is not larger."""
    if not subject.schedulers or subject.planned_steps is None or subject.scheduler_unit != "step":
        return 1.0
    rates, _ = rates_of(subject.schedulers[0], min(subject.planned_steps, 10_000))
    first = sum(rates[:steps]) / max(len(rates[:steps]), 1)
    return max(sum(rates) / len(rates) / first, 1.0) if first > 0 else math.inf


def _whole_set(subject: Subject) -> bool:
    size = tensor_tree.rows(subject.batch, subject.batch_dim)
    return size is not None and subject.train.examples is not None and size >= len(subject.train.examples)


def _blamed(subject: Subject) -> list[str]:
    group = subject.optimizers[0].param_groups[0]
    first = float(group.get("initial_lr", group.get("lr", 0.0)))
    if subject.schedulers and float(group.get("lr", 0.0)) < 0.2 * first:
        return ["scheduler", "optimizer lr"]
    if float(group.get("eps", 0.0)) >= 1e-3:
        return ["optimizer eps", "optimizer lr"]
    return ["optimizer lr", "optimizer"]


def _update(subject: Subject) -> float:
    """Size of the first update in sizes of the weight, of the median matrix."""
    matrices = [one for _, one in subject.trained if one.ndim > 1 and float(one.detach().norm()) > 0]
    if not matrices:
        return 0.0
    subject.reset()
    before = [one.detach().clone() for one in matrices]
    rehearsal.arm(subject, 4, rehearsal.own_rule(subject))
    moved: list[Tensor] = [one.detach() - value for one, value in zip(matrices, before, strict=True)]
    return median(float(one.norm() / value.norm()) / 4 for one, value in zip(moved, before, strict=True))


def _problem(places: list[str], reason: str, measured: str, threshold: str, next_step: str, level: str = "") -> Problem:
    return Problem(
        places=places, reason=reason, measured=measured, threshold=threshold, next_step=next_step, level=level
    )


CHECKS = (
    Contract("update-to-weight", "optimisation", 64, update_to_weight, "warning", SOURCE),
    Contract("pace", "optimisation", 12, pace, "advice", SOURCE),
)
