"""What a record says beside its numbers: what changed, what it cost, the data, the doctor, where it comes from.

Covers: tables, a coloured diff, ratios of prices. Not covered: reading records (`commands.report_article`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from assay.changes.strategy_diff import ABSENT, Changes, ParameterChange
from assay.core.short_repr import excerpt_of_name
from assay.report.page.page_blocks import Block, DiffLines, Gap, PageSection, PageTable, Sentence

#: lines of a diff that a page shows
MOST_LINES = 800
#: classes whose counts are listed
MOST_CLASSES = 20


class ArmPrice(NamedTuple):
    """What one arm took. None where its record does not say it. `ways`: how its replicates were trained."""

    weights: int | None
    training: float | None  # seconds a replicate
    inference: float | None  # seconds an example
    ways: frozenset[str]


class Provenance(NamedTuple):
    """(name, value) rows, and the command that makes the numbers again."""

    rows: Sequence[tuple[str, str]]
    command: str


def changes_section(
    found: Changes | None, sources: tuple[Mapping[str, str], Mapping[str, str]], why: str, against: str
) -> PageSection:
    """Parameters as a table, code as a diff. `sources`: path → text, before and after; `why` there are no changes."""
    if found is None:
        return PageSection("changes", "What changed", [Sentence(f"not known: {why}", "caution")])
    blocks: list[Block] = [Sentence(f"against {against}: {found}")]
    if rows := [_parameter(one) for one in (*found.changed, *found.introduced, *found.removed)]:
        blocks.append(PageTable("parameters that differ", ("parameter", "before", "after"), rows))
    lines = list(_diff(*sources))
    if lines:
        more = f", the first {MOST_LINES} lines of {len(lines)}" if len(lines) > MOST_LINES else ""
        blocks.append(DiffLines(f"code that trains{more}", lines[:MOST_LINES]))
    return PageSection("changes", "What changed", blocks)


def _parameter(one: ParameterChange) -> tuple[str, str, str]:
    before, after = ("–" if side is ABSENT else str(side) for side in (one.before, one.after))
    return one.name, before, after


def _diff(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Lines of a unified diff of all files that differ, each with its mark."""
    for path in sorted(before.keys() | after.keys()):
        old, new = (side.get(path, "").split("\n") for side in (before, after))
        if old == new:
            continue
        yield "@", excerpt_of_name(path)
        for line in list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]:
            mark = line[:1]
            yield ("@", line) if mark == "@" else (mark if mark in "+-" else " ", line[1:])


def price_section(baseline: ArmPrice | None, candidate: ArmPrice | None, gaps: Sequence[Gap]) -> PageSection:
    """Weights, training seconds, inference seconds of both arms, with their ratio."""
    arms = (baseline, candidate)
    rows = [
        _price("weights", [one and one.weights for one in arms], "{:,.0f}"),
        _price("seconds of training a replicate", [one and one.training for one in arms], "{:.3g}"),
        _price("seconds of predicting an example", [one and one.inference for one in arms], "{:.2g}"),
    ]
    known = [row for row in rows if row[1:3] != ("–", "–")]
    blocks: list[Block] = []
    if known:
        blocks = [PageTable("what each arm takes", ("", "baseline", "candidate", "ratio"), known, frozenset({1, 2, 3}))]
    if baseline and candidate and baseline.ways != candidate.ways:
        ways = " and ".join("/".join(sorted(one.ways)) or "unknown" for one in (baseline, candidate))
        blocks.append(Sentence(f"the arms trained in different ways ({ways}): their seconds say little of each other"))
    if known and baseline is None:
        blocks.append(Sentence("the baseline is a fixed value, which costs nothing here"))
    return PageSection("price", "Price of the gain", [*blocks, *gaps] or [Sentence("not known: no record says it")])


def _price(name: str, values: Sequence[float | None], form: str) -> tuple[str, str, str, str]:
    before, after = values
    shown = ["–" if value is None else form.format(value) for value in values]
    ratio = f"×{after / before:.2f}" if before and after is not None else "–"
    return name, shown[0], shown[1], ratio


def data_section(card: Mapping[str, Any] | None, split: Mapping[str, Any] | None, gaps: Sequence[Gap]) -> PageSection:
    """Sizes of the parts, balance of the classes, and what a person should know of the data."""
    blocks: list[Block] = [Sentence(line, "caution") for line in _warnings(card or {})]
    sizes = _mapping(split, "sizes")
    if sizes:
        said = ", ".join(f"{name} {count}" for name, count in sizes.items())
        blocks.append(Sentence(f"examples: {said}"))
    labels = _mapping(split, "labels")
    whole = _mapping(_mapping(card, "targets"), "labels")
    if labels or whole:
        blocks.append(_balance({name: found for name, found in labels.items() if isinstance(found, Mapping)}, whole))
    return PageSection("data", "Data", [*blocks, *gaps] or [Sentence("no data card was recorded")])


def _mapping(found: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    value = (found or {}).get(key)
    return value if isinstance(value, Mapping) else {}


def _warnings(card: Mapping[str, Any]) -> Iterator[str]:
    names = {
        "exact_duplicates": "examples are exact duplicates of an earlier one",
        "duplicates_with_other_target": "examples have the inputs of another one and another target",
        "missing_nan_inf": "values are missing",
    }
    for key, said in names.items():
        count = card.get(key)
        if isinstance(count, int) and count > 0:
            yield f"{count:,} {said}"
    features = _mapping(card, "inputs").get("constant_features")
    if isinstance(features, int) and features > 0:
        yield f"{features:,} features have the same value in every example"


def _balance(parts: Mapping[str, Mapping[str, Any]], whole: Mapping[str, Any]) -> PageTable:
    counts = parts or {"all": whole}
    totals = {
        name: sum(_count(found.get(name)) for found in counts.values()) for found in counts.values() for name in found
    }
    largest = sorted(totals, key=lambda name: -totals[name])[:MOST_CLASSES]
    rows = [
        (name, *(f"{_count(found.get(name)):,}" for found in counts.values())) for name in totals if name in largest
    ]
    more = f", the {MOST_CLASSES} largest of {len(totals)}" if len(totals) > MOST_CLASSES else ""
    caption = f"examples by class{more}"
    return PageTable(caption, ("class", *counts), rows, frozenset(range(1, len(counts) + 1)), closed=True)


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def doctor_section(findings: Sequence[Mapping[str, Any]] | None) -> PageSection:
    """Failures of the training code's examination, in full; None where none was recorded."""
    if findings is None:
        return PageSection(
            "doctor", "Doctor", [Gap("findings about the training code", "none were recorded", "assay doctor")]
        )
    failed = [one for one in findings if one.get("result") == "fail"]
    passed = sum(one.get("result") == "pass" for one in findings)
    lines = [Sentence(_finding(one), "caution") for one in failed]
    return PageSection("doctor", "Doctor", [Sentence(f"{len(failed)} findings, {passed} checks passed"), *lines])


def _finding(one: Mapping[str, Any]) -> str:
    places = one.get("places")
    where = f" at {', '.join(map(str, places))}" if isinstance(places, list) and places else ""
    hint = f"; next: {one['next_step']}" if one.get("next_step") else ""
    return f"{one.get('level', '')} {one.get('check', '')}{where}: {one.get('reason', '')}{hint}"


def provenance_section(found: Provenance, gaps: Sequence[Gap]) -> PageSection:
    """Tree, keys, environment, cost, and how to make it again."""
    table = PageTable("where the numbers come from", ("", ""), found.rows)
    return PageSection("provenance", "Provenance", [table, Sentence(f"make it again: {found.command}"), *gaps])
