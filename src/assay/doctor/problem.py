"""What a check returns for each thing that it proved wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assay.doctor.subject import Subject


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
