"""A project's history on a page: the chain of accepted gains, what was rejected, what looking cost.

Covers: selection beside confirmation, breaks where the metric changed, ideas that failed, looks with the alpha they
spent, openings of the test part, all experiments. Not covered: reading them (`commands.report_history`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from assay.report.comparison_text import number
from assay.report.json_rows import LogRow
from assay.report.page import chart_specs
from assay.report.page.chart_specs import Interval
from assay.report.page.page_blocks import Block, Figure, PageSection, PageTable, Sentence

DIGITS = 4
#: rows of one table
MOST = 2_000
_WON = "picked for being good flatters: what was selected is expected to fall when it is confirmed on fresh seeds"


class AcceptedStep(NamedTuple):
    """One accepted strategy: the difference that chose it, and the one that fresh seeds confirmed."""

    name: str
    baseline: str
    metric: str
    metric_version: str
    selected: Interval | None
    confirmed: Interval | None
    attempts: int
    test: float | None
    changed: str
    state: str


class SpentAlpha(NamedTuple):
    """What the account of one idea against one baseline spent."""

    baseline: str
    idea: str
    looks: int
    spent: float


class PartOpening(NamedTuple):
    """One opening of the sealed test part."""

    name: str
    baseline: str
    n: int
    score: float | None


def chain_section(steps: Sequence[AcceptedStep], unverifiable: Sequence[tuple[str, str]] = ()) -> PageSection:
    """Accepted strategies, oldest first; a break wherever the metric's version changed.

    `unverifiable`: (name, why) of tags that carry no evidence which could be read.
    """
    blocks = list(_chain(steps)) if steps else [Sentence("none is accepted yet")]
    doubts = [
        Sentence(f"{name} is not verifiable, and counts as nothing: {why}", "caution") for name, why in unverifiable
    ]
    return PageSection("chain", "Accepted strategies", [*blocks, *doubts])


def _chain(steps: Sequence[AcceptedStep]) -> Iterator[Block]:
    for place, (version, group) in enumerate(itertools.groupby(steps, lambda step: step.metric_version)):
        found = list(group)
        if place:
            yield Sentence(
                f"here the metric changed to {version}: numbers above and below are never subtracted", "caution"
            )
        table = _steps(f"strategies under {version}", found)
        rows = [row for step in found for row in (step.selected, step.confirmed) if row is not None]
        if not rows:
            yield table
            continue
        spec = chart_specs.intervals(rows, 0.0, f"difference in {found[0].metric} to the strategy before")
        yield Figure(f"gains under {version}, as selected and as confirmed", _WON, spec, table)
        yield from _shrinkage(found)


def _steps(caption: str, steps: Sequence[AcceptedStep]) -> PageTable:
    columns = ("strategy", "against", "selected", "confirmed", "attempts", "test part", "changed", "state")
    rows = [
        (
            step.name,
            step.baseline,
            _interval(step.selected),
            _interval(step.confirmed),
            str(step.attempts),
            number(step.test, DIGITS),
            step.changed,
            step.state,
        )
        for step in steps
    ]
    return PageTable(caption, columns, rows, frozenset({4, 5}))


def _interval(found: Interval | None) -> str:
    if found is None:
        return "–"
    ends = "" if found.low is None else f" [{number(found.low, DIGITS, '+')}, {number(found.high, DIGITS, '+')}]"
    return f"{number(found.delta, DIGITS, '+')}{ends}"


def _shrinkage(steps: Sequence[AcceptedStep]) -> Iterator[Sentence]:
    """How much of what was selected was left when it was confirmed, over all steps together."""
    pairs = [(step.selected.delta, step.confirmed.delta) for step in steps if step.selected and step.confirmed]
    selected, confirmed = (sum(abs(pair[side]) for pair in pairs) for side in (0, 1))
    if pairs and selected:
        counted = "1 step" if len(pairs) == 1 else f"{len(pairs)} steps"
        yield Sentence(f"{confirmed / selected:.0%} of the differences that were selected were confirmed ({counted})")


def rejected_section(rows: Sequence[LogRow]) -> PageSection:
    """Ideas that were rejected, with the reason, and confirmations that failed."""
    found = [row for row in rows if row.kind in ("rejected", "attempt", "revocation")]
    cells = [(row.kind, row.name, row.date, row.changed, _row_interval(row), row.state) for row in found]
    columns = ("", "name", "date", "changed", "difference", "why")
    blocks: list[Block] = [PageTable("what did not stay", columns, cells)] if cells else [Sentence("nothing yet")]
    return PageSection("rejected", "Rejected, revoked, not confirmed", blocks)


def _row_interval(row: LogRow) -> str:
    return _interval(None if row.delta is None else Interval(row.name, row.delta, row.ci_low, row.ci_high))


def looks_section(accounts: Sequence[SpentAlpha], damaged: int) -> PageSection:
    """What looking cost, one row for each idea and baseline."""
    blocks: list[Block] = []
    if accounts:
        ideas, looks = len(accounts), sum(account.looks for account in accounts)
        blocks.append(
            Sentence(f"{looks} looks at {ideas} ideas; each idea has one alpha against one baseline to spend")
        )
        rows = [(one.baseline, one.idea, str(one.looks), f"{one.spent:.4g}") for one in accounts[:MOST]]
        columns = ("baseline", "idea", "looks", "alpha spent")
        blocks.append(PageTable("accounts", columns, rows, frozenset({2, 3}), closed=len(rows) > 20))
    if damaged:
        blocks.append(
            Sentence(f"{damaged} entries of the ledger are damaged and count as nothing: assay status", "caution")
        )
    return PageSection("looks", "Looks and the alpha that they spent", blocks or [Sentence("no look was recorded")])


def openings_section(openings: Sequence[PartOpening]) -> PageSection:
    """Each time the sealed test part was opened: the more often, the less it is unseen."""
    if not openings:
        return PageSection("openings", "Openings of the test part", [Sentence("it was never opened")])
    rows = [(one.name, one.baseline, str(one.n), number(one.score, DIGITS)) for one in openings]
    table = PageTable("openings", ("strategy", "against", "n", "score"), rows, frozenset({2, 3}))
    return PageSection(
        "openings", "Openings of the test part", [Sentence(f"times that it was opened: {len(rows)}"), table]
    )


def experiments_section(rows: Sequence[LogRow]) -> PageSection:
    """All experiments, by metric version and baseline, the largest gain first."""
    found = [row for row in rows if row.kind == "experiment"]
    blocks: list[Block] = []
    for (version, baseline), group in itertools.groupby(found[:MOST], lambda row: (row.metric_version, row.baseline)):
        cells = [_experiment(row) for row in group]
        columns = ("experiment", "date", "changed", "mean", "n", "difference", "verdict")
        caption = f"{version or 'without a metric version'} against {baseline or 'nothing'} ({len(cells)})"
        blocks.append(PageTable(caption, columns, cells, frozenset({3, 4}), closed=True))
    if len(found) > MOST:
        blocks.append(
            Sentence(f"the first {MOST} of {len(found)} experiments; assay log --all has them all", "caution")
        )
    return PageSection("experiments", "Experiments", blocks or [Sentence("none is at hand")])


def _experiment(row: LogRow) -> tuple[str, ...]:
    mean, n = number(row.mean, DIGITS), str(row.n or "–")
    return row.name, row.date, row.changed, mean, n, _row_interval(row), row.state
