"""Classes and slices on a page: who is taken for whom, how far confidence holds, each class and slice by itself.

Covers: folding many classes to the largest, counts, the arm's name on each table. Not covered: reading the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from assay.report.comparison_text import number
from assay.report.page import chart_specs
from assay.report.page.chart_specs import Interval
from assay.report.page.page_blocks import Block, Figure, Gap, PageSection, PageTable, Sentence

#: classes of a confusion table; what is smaller is folded
MOST_CLASSES = 20
OTHERS = "all others"
Pairs = Sequence[tuple[str, str]]  # (actual, predicted) of each example


class ReliabilityBin(NamedTuple):
    """One bin of confidence of one arm."""

    arm: str
    confidence: float
    accuracy: float
    predictions: int


class SliceRow(NamedTuple):
    """One row of results/slices.csv as it stands there: texts, "" where it has none."""

    by: str
    name: str
    examples: str
    metric: str
    baseline: str
    candidate: str
    delta: str
    ci_low: str
    ci_high: str
    p_holm: str
    verdict: str


def classes_section(
    confusions: Mapping[str, Pairs], bins: Sequence[ReliabilityBin], rows: Sequence[SliceRow], gaps: Sequence[Gap]
) -> PageSection:
    """Confusion and reliability with counts, an arm each; precision, recall and F1 by class."""
    blocks: list[Block] = [_confusion(arm, pairs) for arm, pairs in confusions.items() if pairs]
    blocks += [_reliability(bins)] if bins else []
    blocks += [_by_class(rows)] if any(row.by == "class" for row in rows) else []
    return PageSection("classes", "Classes", [*blocks, *gaps] or [Sentence("the task has no classes")])


def _confusion(arm: str, pairs: Pairs) -> PageTable:
    counts = Counter(pairs)
    sizes = Counter(actual for actual, _ in pairs)
    sizes.update({predicted: 0 for _, predicted in pairs})
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_CLASSES]
    folded = len(sizes) > MOST_CLASSES
    names = [*_ordered(largest), *([OTHERS] if folded else [])]
    table: Counter[tuple[str, str]] = Counter()
    for (actual, predicted), count in counts.items():
        table[_folded(actual, largest), _folded(predicted, largest)] += count
    rows = [(actual, *(str(table[actual, name] or "·") for name in names)) for actual in names]
    shades = {
        (line, column + 1): shade
        for line, actual in enumerate(names)
        for column, name in enumerate(names)
        if (shade := _shade(table[actual, name], sum(table[actual, each] for each in names)))
    }
    said = f"confusion of the {arm}, {len(pairs)} examples, its replicates' mean prediction; rows are actual classes"
    more = f"; the {MOST_CLASSES} largest of {len(sizes)} classes" if folded else ""
    return PageTable(said + more, ("actual", *names), rows, frozenset(range(1, len(names) + 1)), shades)


def _folded(name: str, largest: Sequence[str]) -> str:
    return name if name in largest else OTHERS


def _ordered(names: Iterable[str]) -> list[str]:
    """Numbers by size, names by letter."""
    found = list(names)
    return sorted(found, key=int) if all(name.isascii() and name.isdigit() for name in found) else sorted(found)


def _shade(count: int, size: int) -> int:
    """0 for none, then four steps of the share of a row."""
    return 0 if not count else 1 + sum(count / size > limit for limit in (0.02, 0.1, 0.5))


def _reliability(bins: Sequence[ReliabilityBin]) -> Figure:
    rows = [(one.arm, f"{one.confidence:.3f}", f"{one.accuracy:.3f}", str(one.predictions)) for one in bins]
    columns = ("arm", "confidence", "accuracy", "predictions")
    table = PageTable("predictions by their confidence", columns, rows, frozenset({1, 2, 3}), closed=True)
    off = {
        arm: _calibration_error([one for one in bins if one.arm == arm])
        for arm in dict.fromkeys(one.arm for one in bins)
    }
    said = ", ".join(f"{value:.3f} for the {arm}" for arm, value in off.items())
    description = f"Mean distance from the diagonal, weighted by counts (expected calibration error): {said}"
    return Figure(
        "accuracy by confidence", description, chart_specs.reliability([one._asdict() for one in bins]), table
    )


def _calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    total = sum(one.predictions for one in bins)
    return sum(abs(one.accuracy - one.confidence) * one.predictions for one in bins) / total if total else 0.0


def _by_class(rows: Sequence[SliceRow]) -> PageTable:
    """A row a class: each metric for both arms; the largest classes where there are many."""
    found = [row for row in rows if row.by == "class"]
    metrics = list(dict.fromkeys(row.metric for row in found))
    cells = {(row.name, row.metric): row for row in found}
    sizes = {row.name: int(row.examples) if row.examples.isdigit() else 0 for row in found}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_CLASSES]
    columns = ("class", "examples", *(f"{metric}, {arm}" for metric in metrics for arm in ("baseline", "candidate")))
    lines = [
        (name, str(sizes[name]), *(cell for metric in metrics for cell in _pair(cells.get((name, metric)))))
        for name in sorted(largest, key=list(sizes).index)
    ]
    more = f", the {MOST_CLASSES} largest of {len(sizes)}" if len(sizes) > MOST_CLASSES else ""
    caption = f"each class by itself, means over replicates, described and not tested{more}"
    return PageTable(caption, columns, lines, frozenset(range(1, len(columns))))


def _pair(row: SliceRow | None) -> tuple[str, str]:
    return ("–", "–") if row is None else (_short(row.baseline), _short(row.candidate))


def _short(cell: str) -> str:
    value = as_number(cell)
    return "–" if value is None else f"{value:.3f}"


def as_number(cell: str) -> float | None:
    """The finite number in a cell, None where there is none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def slices_section(rows: Sequence[SliceRow], min_effect: float, digits: int) -> PageSection:
    """The deciding metric by slice, each with its interval."""
    found = [row for row in rows if row.by == "slice"]
    if not found:
        return PageSection("slices", "Slices", [Sentence("the task names no slices")])
    shown = [
        Interval(row.name, delta, as_number(row.ci_low), as_number(row.ci_high))
        for row in found
        if (delta := as_number(row.delta)) is not None
    ]
    columns = ("slice", "examples", "baseline", "candidate", "difference", "p (Holm)", "verdict")
    cells = [
        (
            row.name,
            row.examples,
            *(number(as_number(one), digits) for one in (row.baseline, row.candidate)),
            number(as_number(row.delta), digits, "+"),
            row.p_holm,
            row.verdict,
        )
        for row in found
    ]
    table = PageTable("slices, each with Holm's correction", columns, cells, frozenset({1, 2, 3, 4, 5}))
    if not shown:
        return PageSection("slices", "Slices", [table])
    spec = chart_specs.intervals(shown, min_effect, f"difference in {found[0].metric}")
    return PageSection("slices", "Slices", [Figure("difference by slice", "candidate minus baseline", spec, table)])


def ensemble_section(rows: Sequence[SliceRow]) -> PageSection:
    """What all replicates of an arm predict together: they are trained already."""
    found = [row for row in rows if row.by == "ensemble"]
    if not found:
        return PageSection(
            "ensemble", "Ensemble of the replicates", [Sentence("not known: evaluate recorded no score of it")]
        )
    cells = [(row.metric, *(_digits(one) for one in (row.baseline, row.candidate, row.delta))) for row in found]
    caption = "score of the mean prediction of each arm's replicates, one number an arm, described and not tested"
    return PageSection(
        "ensemble",
        "Ensemble of the replicates",
        [PageTable(caption, ("metric", "baseline", "candidate", "difference"), cells, frozenset({1, 2, 3}))],
    )


def _digits(cell: str) -> str:
    value = as_number(cell)
    return "–" if value is None else f"{value:.4f}"
