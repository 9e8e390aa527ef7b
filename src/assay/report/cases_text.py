"""The luck line: how many examples were fixed and broken, beside what two groups of one strategy would give."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from assay.core.case_records import BROKEN, FIXED, WRONG, CasesRecord, LuckRange


def luck_line(record: CasesRecord) -> str:
    """One sentence for above the cases; "" where examples are not right or wrong."""
    counts = {each.name: each.count for each in record.lists}
    if record.rule != "right_or_wrong" or not counts:
        return ""
    if not record.against:
        return f"{counts[WRONG]} of {record.examples} examples wrong; nothing to compare with"
    found = f"{counts[FIXED]} fixed, {counts[BROKEN]} broken of {record.examples} examples against {record.against}"
    if record.luck is UNSET:
        return f"{found}; by luck alone: {record.luck_unknown}"
    luck = record.luck
    groups = f"{record.candidate_n} and {record.baseline_n} replicates of one strategy"
    return f"{found}; by luck alone, between {groups}: {_range(luck.fixed)} fixed, {_range(luck.broken)} broken"


def rule_lines(record: CasesRecord) -> Iterator[str]:
    """What the lists go by, and what went wrong while examples were shown."""
    yield record.rule_text
    yield from record.notes


def _range(luck: LuckRange) -> str:
    return f"{luck.expected:.1f} [{luck.low}, {luck.high}]"
