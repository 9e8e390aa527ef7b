"""The schedule of the learning rate, simulated over the planned run on an optimizer of its own."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sized
from itertools import pairwise
from typing import Any

from assay.doctor.check_results import Contract, Problem
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: most calls of step() that are simulated
MOST = 100_000
#: share of the largest rate that is nothing
NOTHING = 1e-3
#: share of the optimizer's rate that a warm-up reaches within the run, and calls from which there is a course
REACHED, FEWEST = 0.5, 10
#: schedules that rise again on purpose
RISING = ("Cyclic", "Restarts", "OneCycle", "Sequential", "Lambda", "Chained", "Multiplicative")


def schedule(subject: Subject) -> list[Problem]:
    """A rate that is negative, next to nothing for most of the run, rises again at its end, or never gets anywhere."""
    found = []
    for one in subject.schedulers:
        rates, stopped = rates_of(one, _calls(subject))
        found += list(_problems(type(one).__name__, rates, _calls(subject), subject.scheduler_unit or "", stopped))
        if not found and not stopped:
            found += _warming(one, rates, subject.scheduler_unit or "")
    if not subject.schedulers:
        raise NotApplicableError("no scheduler was given")
    return found[:1]


def _calls(subject: Subject) -> int:
    if subject.planned_steps is None or subject.scheduler_unit not in ("step", "epoch"):
        raise NotApplicableError("planned_steps and scheduler_unit were not given")
    if subject.scheduler_unit == "step":
        return subject.planned_steps
    if not isinstance(subject.train_loader, Sized):
        raise NotApplicableError("the loader has no length")
    return max(subject.planned_steps * subject.accumulate // max(len(subject.train_loader), 1), 1)


def rates_of(given: Any, calls: int) -> tuple[list[float], str]:
    """The rate of a schedule at each of its next calls, and what it raises before they are over ('' where nothing)."""
    optimizer = getattr(given, "optimizer", None)
    if calls > MOST or optimizer is None or not hasattr(optimizer, "param_groups"):
        raise NotRunError(f"{calls} calls are more than {MOST}, or the scheduler is none of torch")
    if type(given).__name__ == "ReduceLROnPlateau":
        raise NotApplicableError("the schedule follows a metric")
    own = copy.copy(optimizer)
    own.param_groups = [dict(group) for group in optimizer.param_groups]
    twin = copy.deepcopy(given, {id(optimizer): own})
    rates = []
    for _ in range(calls):
        rates.append(float(own.param_groups[0]["lr"]))
        try:
            twin.step()
        except Exception as error:
            return rates, f"{type(error).__name__} after {len(rates)} calls"
    return rates, ""


def _problems(name: str, rates: list[float], calls: int, unit: str, stopped: str) -> Iterator[Problem]:
    largest = max(rates)
    if min(rates) < 0:
        at = next(number for number, one in enumerate(rates) if one < 0)
        yield _problem(name, "is negative: the loss is raised", f"{min(rates):g}, first in {unit} {at}", "0 or more")
    elif stopped:
        yield _problem(
            name, f"ends before the planned run does: {stopped}", f"{len(rates)} {unit}s", f"{calls} {unit}s"
        )
    elif largest > 0 and calls >= 4:
        yield from _course(name, rates, unit, largest)


def _course(name: str, rates: list[float], unit: str, largest: float) -> Iterator[Problem]:
    alive = [number for number, one in enumerate(rates) if one > NOTHING * largest]
    lowest = min(range(alive[0], len(rates)), key=rates.__getitem__)
    again = max(rates[lowest:])
    if alive[-1] < len(rates) // 2:
        what = "is next to nothing for most of the run: its length is counted in another unit"
        yield _problem(name, what, f"from {unit} {alive[-1] + 1} of {len(rates)} on", "the second half of the run")
    elif not any(word in name for word in RISING) and rates[lowest] < 0.01 * largest and again > 0.1 * largest:
        what = "falls to nothing and rises again before the end"
        yield _problem(name, what, f"lowest in {unit} {lowest} of {len(rates)}, then up to {again:.3g}", "no rise")
    elif name in ("CosineAnnealingLR", "OneCycleLR", "PolynomialLR") and rates[-1] > 0.95 * rates[0] > 0:
        what = "hardly moves in the planned run: its length is counted in another unit"
        yield _problem(name, what, f"from {rates[0]:.3g} to {rates[-1]:.3g} in {len(rates)} {unit}s", "a course")


def _warming(given: Any, rates: list[float], unit: str) -> list[Problem]:
    """A rate that rises all through the planned run, and gets nowhere near the one that was asked for."""
    asked = max(float(group.get("initial_lr", group["lr"])) for group in given.optimizer.param_groups)
    rising = len(rates) >= FEWEST and all(one <= two for one, two in pairwise(rates))
    if not rising or rates[0] >= rates[-1] or rates[-1] > REACHED * asked:
        return []
    return [
        _problem(
            type(given).__name__,
            "still warms up when the planned run ends: the warm-up is that of a longer run",
            f"{rates[-1]:.3g} after {len(rates)} {unit}s, of {asked:g}",
            f"{REACHED:g} of the rate, or more",
        )
    ]


def _problem(name: str, what: str, measured: str, threshold: str) -> Problem:
    return Problem(
        places=["scheduler", "optimizer lr"],
        reason=f"the rate of {name} {what}",
        measured=measured,
        threshold=threshold,
        next_step="give the schedule its length in the unit in which its step() is called",
    )


CHECKS = (Contract("schedule", "optimisation", 84, schedule, "warning", "simulation"),)
