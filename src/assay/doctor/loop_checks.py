"""Checks of a watched loop: what a monitor notes while it runs, and what it says at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from assay.doctor.findings import FAIL, LEVELS, NOT_APPLICABLE, NOT_RUN, PASS, Finding
from assay.doctor.loop_state import Loop, RootCall, WatchedOptimizer
from assay.doctor.problem import Problem
from assay.doctor.subject import NotApplicableError, NotRunError


@dataclass(frozen=True)
class LoopCheck:
    """One check. `look` returns what it proved wrong; narrower causes have a greater `specificity`."""

    name: str
    group: str
    specificity: int
    look: Callable[[], list[Problem]]
    level: str = "error"
    source: str = "watched loop"
    #: whether it can say something of a block without a single step
    without_steps: bool = False


class LoopMonitor:
    """A group of checks that hear of the same events. Events that a monitor does not need do nothing.

    Backward passes and steps are told only where a step is watched in full, forward passes also in evaluations.
    """

    #: names of events that it is told of
    EVENTS: tuple[str, ...] = ()

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.broken = ""

    def checks(self) -> list[LoopCheck]:
        raise NotImplementedError

    def backward_begins(self, loss: Any) -> None: ...  # None where no tensor was given
    def backward_ended(self) -> None: ...
    def step_begins(self, held: WatchedOptimizer) -> None: ...
    def step_ended(self, held: WatchedOptimizer) -> None: ...
    def called(self, call: RootCall) -> None: ...
    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None: ...


def report_of(monitors: Iterable[LoopMonitor], why_not: str) -> list[Finding]:
    """Findings of all checks, most telling first; `why_not` says why none of them could look, where that is so."""
    found = [
        (check, one)
        for monitor in monitors
        for check in monitor.checks()
        for one in _findings(check, why_not or monitor.broken)
    ]
    results = (FAIL, NOT_RUN, NOT_APPLICABLE, PASS)

    def rank(pair: tuple[LoopCheck, Finding]) -> tuple[int, int, int]:
        check, one = pair
        return results.index(one.result), -check.specificity, LEVELS.index(one.level)

    return [one for _, one in sorted(found, key=rank)]


def _findings(check: LoopCheck, why_not: str) -> list[Finding]:
    if why_not and not check.without_steps:
        return [_unseen(check, NOT_RUN, why_not)]
    try:
        problems = check.look()
        if why_not and not problems:
            return [_unseen(check, NOT_RUN, why_not)]
    except NotApplicableError as error:
        return [_unseen(check, NOT_APPLICABLE, str(error))]
    except NotRunError as error:
        return [_unseen(check, NOT_RUN, str(error))]
    except Exception as error:
        return [_unseen(check, NOT_RUN, f"{type(error).__name__}: {error}")]
    if not problems:
        return [_unseen(check, PASS, "")]
    return [_failure(check, one) for one in problems]


def _failure(check: LoopCheck, one: Problem) -> Finding:
    return Finding(
        check=check.name,
        level=one.level or check.level,
        group=check.group,
        result=FAIL,
        places=[place for place in dict.fromkeys(one.places) if place][:3],
        measured=one.measured,
        threshold=one.threshold,
        source=check.source,
        reason=one.reason,
        next_step=one.next_step,
    )


def _unseen(check: LoopCheck, result: str, reason: str) -> Finding:
    return Finding(
        check=check.name,
        level=check.level,
        group=check.group,
        result=result,
        source=check.source,
        reason=reason,
    )
