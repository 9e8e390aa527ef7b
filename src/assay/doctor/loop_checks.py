"""Checks of a watched loop: what a monitor notes while it runs, and what it says at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from assay.doctor.check_results import Problem, looked_at, rank
from assay.doctor.findings import Finding
from assay.doctor.loop_state import Loop, RootCall, WatchedOptimizer
from assay.doctor.subject import NotRunError


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
    return [one for _, one in sorted(found, key=lambda pair: rank(pair[1], pair[0].specificity))]


def _findings(check: LoopCheck, why_not: str) -> list[Finding]:
    def look() -> list[Problem]:
        problems = check.look() if check.without_steps or not why_not else []
        if why_not and not problems:
            raise NotRunError(why_not)
        return problems

    return looked_at(check, look, lambda error: f"{type(error).__name__}: {error}")
