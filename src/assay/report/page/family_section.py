"""Several experiments on one page: one family under Holm, and the family that an experiment was measured in."""

from __future__ import annotations

from collections.abc import Sequence

from assay.report import comparison_text, family_table
from assay.report.family_table import FamilyLine
from assay.report.page import chart_specs, verdict_section
from assay.report.page.chart_specs import Interval
from assay.report.page.page_blocks import Figure, PageSection, PageTable, Sentence

#: what the place of a sweep or an ablation in a page's address begins with
GRID = "grid"


def family_section(lines: Sequence[FamilyLine], metric: str) -> PageSection:
    """A row and an interval for each candidate, then how they were judged."""
    digits = max(comparison_text.decimals(line.result) for line in lines)
    rows = [
        Interval(line.candidate, line.result.delta, *chart_specs.finite(line.result.ci))
        for line in lines
        if line.result.delta is not None
    ]
    _, _, said = family_table.text(lines, metric).partition("\n\n")
    columns = ("candidate", metric, "difference", "p (Holm)", "verdict")
    cells = [
        (
            line.candidate,
            comparison_text.arm(line.result.candidate, digits),
            comparison_text.difference(line.result, digits).partition(" CI")[0],
            comparison_text.p_value(line.p_holm),
            line.verdict,
        )
        for line in lines
    ]
    table = PageTable("all candidates", columns, cells, frozenset({3}))
    notes = [Sentence(line) for line in said.split("\n") if line]
    if not rows:
        return PageSection("family", "One family", [table, *notes])
    result = lines[0].result
    spec = chart_specs.intervals(rows, result.min_effect, f"difference in {metric}")
    description = f"candidate minus {lines[0].baseline}; {verdict_section.scale_in_words(result)}"
    figure = Figure("differences of all candidates, each interval at its own level", description, spec, table)
    return PageSection("family", "One family", [figure, *notes])


def measured_together_section(
    command: str,
    rows: Sequence[Interval],
    verdicts: Sequence[str],
    size: int,
    min_effect: float,
    metric: str,
    digits: int,
    number: int = 1,
) -> PageSection:
    """The sweep or ablation that an experiment was measured in. `size`: of the family, as the ledger has it; `number`:
    which of several such sections, since two of one page must not have one place."""
    name = GRID if number == 1 else f"{GRID}-{number}"
    title = {"sweep": "Sweep", "ablate": "Ablation"}.get(command, command)
    table = verdict_section.interval_table("experiments of this family, each by itself", rows, digits)
    cells = [(*row, word) for row, word in zip(table.rows, verdicts, strict=True)]
    table = PageTable(table.caption, (*table.columns, "verdict by itself"), cells, table.numbers)
    said = f"{len(rows)} of the {size} that were judged together by assay {command} are at hand"
    if not rows:
        return PageSection(name, title, [Sentence(said)])
    spec = chart_specs.intervals(rows, min_effect, f"difference in {metric}")
    figure = Figure(
        f"{title.lower()}: difference of each experiment", "intervals are each experiment's own", spec, table
    )
    return PageSection(name, title, [Sentence(said), figure])
