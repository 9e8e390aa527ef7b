"""Findings of the doctor, and the report that holds them, as plain strings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

#: most severe first
LEVELS = ("error", "warning", "advice")
GROUPS = (
    "start",
    "one-batch",
    "mixing",
    "loss-contract",
    "optimisation",
    "modes-layers",
    "data",
    "in-flight",
)
FAIL, PASS, NOT_APPLICABLE, NOT_RUN = "fail", "pass", "not applicable", "not run"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of one check at one place. All fields but `places` are plain strings.

    `result` is `pass`, `fail`, `not applicable` or `not run`; the last two say why in `reason`. `places` holds at
    most three, likeliest first.
    """

    check: str
    level: str
    group: str
    result: str
    places: list[str] = field(default_factory=list)
    measured: str = ""
    threshold: str = ""
    source: str = ""
    reason: str = ""
    next_step: str = ""

    def __str__(self) -> str:
        where = f" at {', '.join(self.places)}" if self.places else ""
        measured = f" (measured {self.measured}; allowed {self.threshold})" if self.measured else ""
        hint = f"; next: {self.next_step}" if self.next_step else ""
        return f"{self.level} {self.check}{where}: {self.reason}{measured}{hint}"


@dataclass(frozen=True)
class Report:
    """All findings of one examination, most telling first: failures, then what could not be looked at, then passes."""

    findings: list[Finding]

    @property
    def failed(self) -> list[Finding]:
        """Findings whose result is `fail`, of all levels."""
        return [one for one in self.findings if one.result == FAIL]

    @property
    def errors(self) -> list[Finding]:
        """Failures of level `error`."""
        return [one for one in self.failed if one.level == "error"]

    def json(self) -> str:
        """One JSON object: `schema` and the list `findings`."""
        return json.dumps({"schema": 1, "findings": [asdict(one) for one in self.findings]}, indent=2)

    def __str__(self) -> str:
        passed = sum(one.result == PASS for one in self.findings)
        unseen = [one for one in self.findings if one.result in (NOT_APPLICABLE, NOT_RUN)]
        head = f"doctor: {len(self.errors)} errors, {len(self.failed)} findings, {passed} checks passed"
        lines = [head, *map(str, self.failed)]
        return "\n".join([*lines, *(f"{one.result} {one.check}: {one.reason}" for one in unseen)])
