"""An ablation as text: the cells, the effects with their intervals, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tabulate import tabulate

from assay.report.comparison_text import p_value
from assay.stats.arm_scores import mean_and_sd
from assay.stats.factorial_design import Factorial


def text(cells: Mapping[tuple[str, ...], Sequence[float]], result: Factorial, metric: str, lost: int) -> str:
    """Two tables and one line a finding; `lost` counts seeds that diverged in some cell."""
    rows = [(" + ".join(changes) or "baseline", len(values), *_summary(values)) for changes, values in cells.items()]
    level = f"{100 * (1 - result.alpha):.4g}% CI"
    effects = [
        (effect.name, f"{effect.delta:+.4f}", f"[{effect.ci[0]:+.4f}, {effect.ci[1]:+.4f}]", p_value(effect.p_holm))
        for effect in result.effects
    ]
    parts = [
        tabulate(rows, ("cell", "n", metric, "sd"), disable_numparse=True),
        tabulate(effects, ("effect", "delta", level, "p (Holm)"), disable_numparse=True),
    ]
    notes = [f"{lost} seed(s) left out: a cell diverged on them"] if lost else []
    said = [*notes, *(result.findings or ["no effect is shown"])]
    return "\n\n".join([*parts, "\n".join(said)])


def _summary(values: Sequence[float]) -> tuple[str, str]:
    mean, sd = mean_and_sd(values)
    return f"{mean:.4f}", f"{sd:.4f}"
