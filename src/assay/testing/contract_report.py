"""What a contract test found: rules that a task breaks, rules that were not asked and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class BrokenRule:
    """One failure. `sentence` has the offending value, what is allowed, and the next step."""

    rule: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.sentence}"


@dataclass(frozen=True)
class ContractReport:
    """All rules of a task, each in one of three: broken, passed, not asked."""

    task: str
    broken: tuple[BrokenRule, ...]
    passed: tuple[str, ...]
    not_asked: Mapping[str, str]  # rule → why

    def __str__(self) -> str:
        count = len({one.rule for one in self.broken})
        head = f"check_task: {self.task} breaks {count} of {count + len(self.passed)} rules"
        if not self.broken:
            head = f"check_task: {self.task} keeps {len(self.passed)} rules"
        reasons = list(dict.fromkeys(self.not_asked.values()))
        grouped = {why: [rule for rule, other in self.not_asked.items() if other == why] for why in reasons}
        skipped = [f"not asked: {', '.join(rules)}, as {why}" for why, rules in grouped.items()]
        return "\n".join([head, *(f"! {one}" for one in self.broken), *skipped])


class BrokenTaskError(AssertionError):
    """A task breaks its contract; the message lists every failure."""

    def __init__(self, report: ContractReport) -> None:
        self.report = report
        super().__init__(str(report))
