"""A sweep as text: every combination against the baseline, judged as one family, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tabulate import tabulate

from assay.report.comparison_text import arm, decimals, doubts, number, p_value
from assay.stats import verdict_rule
from assay.stats.arm_comparison import Comparison

Line = tuple[str, str, Comparison, float | None, str]


def text(tried: Sequence[Line], failed: Mapping[str, str], metric: str, baseline: str) -> str:
    """`tried`: settings, experiment, own comparison, p by Holm, verdict in the family; one row each.

    `failed`: settings → why they did not run.
    """
    digits = max(decimals(alone) for _, _, alone, _, _ in tried)
    levels = sorted({100 * (1 - alone.alpha) for _, _, alone, _, _ in tried})
    level = f"{'–'.join(f'{one:.4g}' for one in dict.fromkeys((levels[0], levels[-1])))}% CI"
    rows = [
        (
            settings,
            arm(alone.candidate, digits),
            *_difference(alone, digits),
            "" if p is None else p_value(p),
            word,
            experiment,
        )
        for settings, experiment, alone, p, word in tried
    ]
    table = tabulate(
        rows, ("setting", metric, "delta", level, "p (Holm)", "verdict", "experiment"), disable_numparse=True
    )
    against = f"against {baseline} {arm(tried[0][2].baseline, digits)}"
    said = [f"{settings}: {line}" for settings, _, alone, *_ in tried for line in doubts(alone)]
    return "\n".join([table, "", against, *said, *failed.values(), _next(tried, len(failed))])


def _difference(alone: Comparison, digits: int) -> tuple[str, str]:
    if not math.isfinite(alone.ci[0]):
        return number(alone.delta, digits, "+"), "–"
    low, high = (number(end, digits, "+") for end in alone.ci)
    return number(alone.delta, digits, "+"), f"[{low}, {high}]"


def _next(tried: Sequence[Line], failed: int) -> str:
    won = [line for line in tried if line[4] == "progress"]
    if not won:
        return f"none of {len(tried) + failed} is shown to be better"
    toward = verdict_rule.sign(won[0][2].direction)
    settings, experiment, *_ = max(won, key=lambda line: toward * (line[2].delta or 0.0))
    return (
        f"{settings} is the best of {len(tried) + failed} and shown to be better; being picked flatters it, "
        f"fresh seeds tell: assay accept {experiment} NAME"
    )
