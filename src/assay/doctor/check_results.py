"""Checks before training, what they prove wrong, and the findings that a report has of any check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from assay.doctor.findings import FAIL, LEVELS, NOT_APPLICABLE, NOT_RUN, PASS, Finding
from assay.doctor.subject import NotApplicableError, NotRunError, Subject


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A proved fault: `reason` says what is wrong, `next_step` what to change. `level` replaces that of the check."""

    places: list[str]
    reason: str
    next_step: str
    measured: str = ""
    threshold: str = ""
    level: str = ""


@dataclass(frozen=True)
class Contract:
    """One check. Contracts that name a narrower cause have a greater `specificity` and are listed first."""

    name: str
    group: str
    specificity: int
    look: Callable[[Subject], list[Problem]]
    level: str = "error"
    source: str = "exact contract"


class Check(Protocol):
    """What a finding says of its check, whether it looks before training or at a loop."""

    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def source(self) -> str: ...


def results_of(check: Check, problems: Sequence[Problem]) -> list[Finding]:
    """What a check found: a failure for each problem, or that it passed."""
    if not problems:
        return [unseen(check, PASS, "")]
    return [
        Finding(
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
        for one in problems
    ]


def unseen(check: Check, result: str, reason: str) -> Finding:
    """A result without a fault: that it passed, or why it could not look."""
    return Finding(
        check=check.name, level=check.level, group=check.group, result=result, source=check.source, reason=reason
    )


def looked_at(check: Check, look: Callable[[], list[Problem]], said: Callable[[Exception], str]) -> list[Finding]:
    """What `look` finds; `said` puts an exception of its own into words."""
    try:
        return results_of(check, look())
    except NotApplicableError as error:
        return [unseen(check, NOT_APPLICABLE, str(error))]
    except NotRunError as error:
        return [unseen(check, NOT_RUN, str(error))]
    except Exception as error:
        return [unseen(check, NOT_RUN, said(error))]


def rank(finding: Finding, specificity: int) -> tuple[int, int, int]:
    """Place in a report: failures by specificity and level, then what could not look, then what passed."""
    results = (FAIL, NOT_RUN, NOT_APPLICABLE, PASS)
    return results.index(finding.result), -specificity, LEVELS.index(finding.level)
