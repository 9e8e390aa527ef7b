"""Several experiments on one page: one family under Holm, and the family that an experiment was measured in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from assay.report import comparison_text, family_table
from assay.report.family_table import FamilyLine
from assay.report.page import chart_specs, verdict_section
from assay.report.page.chart_specs import Interval
from assay.report.page.page_blocks import Block, Figure, PageSection, PageTable, Sentence
from assay.stats.factorial_design import Factorial

#: what the place of a sweep or an ablation in a page's address begins with
GRID = "grid"


class FamilyTerms(NamedTuple):
    """The command that judged a family, how many were in it, and how differences are shown."""

    command: str
    size: int
    min_effect: float
    metric: str
    digits: int


class MeasuredTogether(NamedTuple):
    """One experiment of a family by itself. `delta` is None where nothing was tested."""

    name: str
    changed: str
    delta: float | None
    low: float | None
    high: float | None
    verdict: str


class AblationEffects(NamedTuple):
    """`named`: letter → the change that it stands for in `result`."""

    named: Mapping[str, str]
    result: Factorial


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
    terms: FamilyTerms, found: Sequence[MeasuredTogether], effects: AblationEffects | None = None, number: int = 1
) -> PageSection:
    """The sweep or ablation that an experiment was measured in. `number`: which of several such sections, since two of
    one page must not have one place."""
    name = GRID if number == 1 else f"{GRID}-{number}"
    title = {"sweep": "Sweep", "ablate": "Ablation"}.get(terms.command, terms.command)
    said = f"{len(found)} of the {terms.size} that were judged together by assay {terms.command} are at hand"
    blocks: list[Block] = [Sentence(said), *(_effects(effects, terms) if effects else ())]
    if found:
        blocks += _each(title.lower(), found, terms)
    return PageSection(name, title, blocks)


def _each(what: str, found: Sequence[MeasuredTogether], terms: FamilyTerms) -> list[Block]:
    """Each experiment by itself: a table of all, a chart of those that have a difference."""
    columns = ("experiment", "changed", "difference", "low", "high", "verdict by itself")
    cells = [
        (
            one.name,
            one.changed,
            *(comparison_text.number(value, terms.digits, "+") for value in (one.delta, one.low, one.high)),
            one.verdict,
        )
        for one in found
    ]
    table = PageTable("experiments of this family, each by itself", columns, cells, frozenset({2, 3, 4}))
    rows = [Interval(one.name, one.delta, one.low, one.high) for one in found if one.delta is not None]
    if not rows:
        return [table]
    spec = chart_specs.intervals(rows, terms.min_effect, f"difference in {terms.metric}")
    return [Figure(f"{what}: difference of each experiment", "intervals are each experiment's own", spec, table)]


def _effects(effects: AblationEffects, terms: FamilyTerms) -> list[Block]:
    """What each change brings, alone and beside the others."""
    named = "; ".join(f"{letter}: {what}" for letter, what in effects.named.items())
    found = effects.result
    rows = [Interval(one.name, one.delta, *chart_specs.finite(one.ci)) for one in found.effects]
    cells = [
        (
            one.name,
            *(comparison_text.number(value, terms.digits, "+") for value in (one.delta, *chart_specs.finite(one.ci))),
            comparison_text.p_value(one.p_holm),
            "shown" if one.p_holm <= found.alpha else "",
        )
        for one in found.effects
    ]
    columns = ("effect", "delta", "low", "high", "p (Holm)", "")
    table = PageTable("effects, all in one family under Holm", columns, cells, frozenset({1, 2, 3, 4}))
    description = f"{named}. Intervals at {100 * (1 - found.alpha):.4g}%, seed by seed, each by itself"
    spec = chart_specs.intervals(rows, terms.min_effect, f"effect on {terms.metric}")
    said = found.findings or ("no effect is shown",)
    return [
        Sentence(named, "strong"),
        Figure("effects of the changes", description, spec, table),
        *(Sentence(line) for line in said),
    ]
