"""The verdict on a page: its sentence, the interval on a scale with 0 and ±m, the interval for new examples.

Covers: text and chart. Not covered: where the numbers are from (`commands.report_result`), and whether they are
believed (`cli.report`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from assay.core import reported_key
from assay.report import comparison_text
from assay.report.page import chart_specs
from assay.report.page.chart_specs import Interval
from assay.report.page.page_blocks import Block, Figure, PageSection, PageTable, Sentence
from assay.stats.arm_comparison import Comparison

#: what beginnings of lines say that no reader may overlook them
_CAUTIONS = ("caution", "held back", "unproven", "judged as recorded", "not on the account")
#: level of the interval for new examples, which has no account of looks (`comparison_text.new_examples_line`)
_NEW_EXAMPLES = "95%"


class ReportedVerdict(NamedTuple):
    """One verdict and what belongs beside it.

    `result` is None where nothing was tested. `lines`: sentences beside the verdict, cautions among them.
    `new_examples`: ends of the interval for new examples, None where nobody knows them.
    """

    word: str
    metric: str
    metric_version: str
    baseline: str
    candidate: str
    result: Comparison | None
    lines: Sequence[str]
    new_examples: tuple[float, float] | None = None
    why: str = ""  # nothing was tested

    @property
    def cautions(self) -> list[str]:
        return [line for line in self.lines if line.startswith(_CAUTIONS)]

    @property
    def label(self) -> str:
        return reported_key.label(self.metric, self.metric_version)


def lead(found: ReportedVerdict) -> str:
    """`progress: accuracy 0.9712 ±0.0040 (n=10) vs strategy/adam 0.9600 ±0.0051 (n=10)`."""
    if found.result is None:
        return f"{found.word}: {found.why or 'nothing was tested'}"
    digits = comparison_text.decimals(found.result)
    candidate, baseline = (comparison_text.arm(one, digits) for one in (found.result.candidate, found.result.baseline))
    return f"{found.word}: {found.label} {candidate} vs {found.baseline} {baseline}{_reach(found)}"


def _reach(found: ReportedVerdict) -> str:
    if found.new_examples is None or found.word not in ("progress", "regression") or found.result is None:
        return ""
    low, high = found.new_examples
    shown = low > 0 if (found.result.delta or 0.0) > 0 else high < 0
    return "; shown for new examples, too" if shown else "; for these examples, not shown for new ones"


def difference(found: ReportedVerdict) -> str:
    """`+0.0112 [+0.0069, +0.0155] 95% CI, Welch p=0.00004`; "" where nothing was tested."""
    return (
        "" if found.result is None else comparison_text.difference(found.result, comparison_text.decimals(found.result))
    )


def verdict_section(found: ReportedVerdict) -> PageSection:
    """Sentence, chart and what this n can find."""
    return PageSection("verdict", "Verdict", list(_blocks(found)))


def new_examples_section(found: ReportedVerdict) -> PageSection:
    """The interval for seeds and examples drawn again."""
    lines = [line for line in found.lines if line.startswith("new examples")]
    said = lines or ["not known: no interval was recorded for them"]
    return PageSection("new-examples", "Interval for new examples", [Sentence(line) for line in said])


def cautions_section(found: ReportedVerdict) -> PageSection:
    """Every caution in full."""
    said = [Sentence(line, "caution") for line in found.cautions]
    return PageSection("cautions", "Cautions", said or [Sentence("none")])


def _blocks(found: ReportedVerdict) -> Iterator[Block]:
    yield Sentence(lead(found), "strong")
    if found.result is None:
        return
    yield Sentence(f"{difference(found)} · {found.metric_version}" if found.metric_version else difference(found))
    yield from (Sentence(line, "caution") for line in comparison_text.doubts(found.result))
    if chart := _chart(found, found.result):
        yield chart
    said = [line for line in found.lines if line not in found.cautions and not line.startswith("new examples")]
    yield from (Sentence(line) for line in said)
    if found.cautions:
        count = len(found.cautions)
        yield Sentence(
            "1 caution stands below, in full" if count == 1 else f"{count} cautions stand below, in full", "caution"
        )


def _chart(found: ReportedVerdict, result: Comparison) -> Figure | None:
    if result.delta is None:
        return None
    seeds = f"new seeds, {100 * (1 - result.alpha):.4g}%"
    ends = {seeds: result.ci, **({f"new examples, {_NEW_EXAMPLES}": found.new_examples} if found.new_examples else {})}
    rows = [Interval(name, result.delta, *chart_specs.finite(pair)) for name, pair in ends.items()]
    digits = comparison_text.decimals(result)
    return Figure(
        f"{found.label}: {found.candidate} minus {found.baseline}",
        f"{difference(found)}; {scale_in_words(result)}",
        chart_specs.intervals(rows, result.min_effect, f"difference in {found.label}"),
        interval_table("differences", rows, digits),
    )


def scale_in_words(result: Comparison) -> str:
    """Which side of 0 is better, and what ±m on the scale is."""
    side = "right of 0 is better" if result.direction == "maximize" else "left of 0 is better"
    return side + (f"; m = {result.min_effect:g} is the smallest difference that matters" if result.min_effect else "")


def interval_table(caption: str, rows: Sequence[Interval], digits: int) -> PageTable:
    """A row each: name, difference, both ends."""
    cells = [
        (row.name, *(comparison_text.number(value, digits, "+") for value in (row.delta, row.low, row.high)))
        for row in rows
    ]
    return PageTable(caption, ("", "difference", "low", "high"), cells, frozenset({1, 2, 3}))
