"""Every replicate of both arms on a page: its number, and how it learnt.

Covers: points of both arms with floors, curves of every seed with their mean, how many still fell at the end. Not
covered: reading the tables (`commands.report_tables`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from assay.report.comparison_text import number
from assay.report.page import chart_specs
from assay.report.page.curve_thinning import thinned
from assay.report.page.page_blocks import Block, Figure, Gap, PageSection, PageTable, Sentence

#: rows of a table of curves
ROWS = 12
#: points of a mean that carry its arm's shape
MARKS = 8
#: how far the largest loss may be above the median before the scale is cut
STEEP = 50.0
#: the same where orders of magnitude are drawn
STEEP_LOGARITHMIC = 1e6
PARTS = ("training", "validation")


class ReplicateRow(NamedTuple):
    """One replicate. `value` is None where it diverged; `note` says so, or that it repeats another."""

    arm: str
    seed: str
    value: float | None
    note: str = ""


class CurvePoint(NamedTuple):
    """One epoch of one replicate; a loss is None where it was not finite."""

    seed: str
    epoch: int
    training: float | None
    validation: float | None


def replicates_section(
    rows: Sequence[ReplicateRow], floors: Mapping[str, float], metric: str, digits: int
) -> PageSection:
    """A point for each replicate of both arms, and a table of all."""
    arms = {
        arm: [row.value for row in rows if row.arm == arm and row.value is not None]
        for arm in ("baseline", "candidate")
    }
    known = {arm: values for arm, values in arms.items() if values}
    cells = [(row.arm, row.seed, number(row.value, digits + 1), row.note) for row in rows]
    cells += [("floor", name, number(value, digits + 1), "fixed") for name, value in floors.items()]
    table = PageTable("all replicates", ("arm", "seed", metric, "note"), cells, frozenset({2}), closed=True)
    if not known:
        return PageSection("replicates", "Replicates", [Sentence("no replicate has a finite number", "caution"), table])
    description = "; ".join(
        f"{arm}: {len(values)} between {min(values):.{digits}f} and {max(values):.{digits}f}"
        for arm, values in known.items()
    )
    near = _near(floors, [value for values in known.values() for value in values])
    if far := [f"{name} ({number(value, digits)})" for name, value in floors.items() if name not in near]:
        description += f". Floors outside of the chart: {', '.join(far)}"
    spec = chart_specs.replicates(known, near, metric)
    figure = Figure(f"{metric} of each replicate", f"{description}. A bar marks the mean", spec, table)
    return PageSection("replicates", "Replicates", [figure])


def _near(floors: Mapping[str, float], values: Sequence[float]) -> dict[str, float]:
    """Floors that stretch the scale to at most four times the length that the replicates need."""
    low, high = min(values), max(values)
    reach = 1.5 * (high - low)
    return {name: value for name, value in floors.items() if low - reach <= value <= high + reach}


def curves_section(arms: Mapping[str, Sequence[CurvePoint]], gaps: Sequence[Gap]) -> PageSection:
    """Training and validation loss of every seed, the mean of each arm, both arms on one axis."""
    blocks: list[Block] = list(gaps)
    if any(arms.values()):
        blocks = [_curves(arms), *gaps]
    return PageSection("curves", "Learning curves", blocks or [Sentence("no curves were recorded")])


def end_of_training_section(arms: Mapping[str, Sequence[CurvePoint]]) -> PageSection:
    """Whether longer training might have helped."""
    lines = still_falling(arms) or ["not known: no curves of validation losses are at hand"]
    return PageSection("end", "End of training", [Sentence(line) for line in lines])


def still_falling(arms: Mapping[str, Sequence[CurvePoint]]) -> list[str]:
    """`candidate: validation loss still falling at the end in 3 of 10 seeds`."""
    said = []
    for arm, points in arms.items():
        by_seed = [found for found in _series(points, "validation").values() if any(y is not None for _, y in found)]
        falling = sum(map(_falls, by_seed))
        if by_seed:
            said.append(f"{arm}: validation loss still falling at the end in {falling} of {len(by_seed)} seeds")
    return said


def _falls(points: Sequence[tuple[float, float | None]]) -> bool:
    """Whether the mean of the last tenth lies below the mean of the tenth before it, and nothing was lower before."""
    losses = [y for _, y in points if y is not None]
    size = max(1, len(losses) // 10)
    if len(losses) < 2 * size + 1:
        return False
    last, before = losses[-size:], losses[-2 * size : -size]
    return sum(last) < sum(before) and min(last) <= min(losses[:-size])


def _series(points: Sequence[CurvePoint], part: str) -> dict[str, list[tuple[float, float | None]]]:
    found: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
    for point in points:
        found[point.seed].append((point.epoch, getattr(point, part)))
    return found


def _curves(arms: Mapping[str, Sequence[CurvePoint]]) -> Figure:
    lines: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    for arm, points in arms.items():
        for part in PARTS:
            series = _series(points, part)
            lines += [
                {"arm": arm, "part": part, "seed": f"{arm} {seed} {part}", "epoch": epoch, "loss": loss}
                for seed, found in series.items()
                for epoch, loss in thinned(found)
            ]
            means += _means(arm, part, series)
    seeds = {arm: len({point.seed for point in points}) for arm, points in arms.items() if points}
    counted = ", ".join(f"{count} of the {arm}" for arm, count in seeds.items())
    scale = ", by orders of magnitude" if chart_specs.logarithmic(lines) else ""
    steep = STEEP_LOGARITHMIC if scale else STEEP
    top = _top([row["loss"] for row in lines if row["loss"] is not None], steep)
    cut = "" if top is None else f"; the scale ends at {top:.3g}, some losses lie above it"
    return Figure(
        f"loss by epoch{scale}",
        f"Seeds: {counted}. Thin lines are single seeds, thick ones their mean; training is dashed{cut}",
        chart_specs.curves(lines, means, top),
        _table(means),
    )


def _means(arm: str, part: str, series: Mapping[str, Sequence[tuple[float, float | None]]]) -> list[dict[str, Any]]:
    """The mean of those seeds that have a finite loss, by epoch."""
    by_epoch: dict[float, list[float]] = defaultdict(list)
    for points in series.values():
        for epoch, loss in points:
            by_epoch[epoch] += [] if loss is None else [loss]
    line = thinned(
        [
            (epoch, math.fsum(by_epoch[epoch]) / len(by_epoch[epoch]) if by_epoch[epoch] else None)
            for epoch in sorted(by_epoch)
        ]
    )
    every = max(1, len(line) // MARKS)
    return [
        {"arm": arm, "part": part, "epoch": epoch, "loss": loss, "marked": place % every == every - 1 or len(line) == 1}
        for place, (epoch, loss) in enumerate(line)
    ]


def _top(losses: Sequence[float], steep: float) -> float | None:
    """Where a scale is cut that a few huge losses would make useless; None where they do not."""
    ordered = sorted(losses)
    if not ordered or ordered[-1] <= steep * max(ordered[len(ordered) // 2], 1e-12):
        return None
    return ordered[int(0.95 * (len(ordered) - 1))]


def _table(means: Sequence[Mapping[str, Any]]) -> PageTable:
    found = {(row["arm"], row["part"], row["epoch"]): row["loss"] for row in means}
    columns = list(dict.fromkeys((row["arm"], row["part"]) for row in means))
    epochs = sorted({row["epoch"] for row in means})
    every = max(1, math.ceil(len(epochs) / ROWS))
    shown = sorted({*epochs[::every], epochs[-1]})
    rows = [(f"{epoch:g}", *(_loss(found.get((*column, epoch))) for column in columns)) for epoch in shown]
    names = ("epoch", *(f"{arm}, {part}" for arm, part in columns))
    return PageTable("mean loss by epoch", names, rows, frozenset(range(1, len(names))), closed=True)


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
