"""A sweep as text: every combination against the baseline, judged as one family, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from assay.judging import verdict
from assay.judging.compare import Comparison
from assay.report.comparison import arm, decimals, number, p_value

Line = tuple[str, str, Comparison, float | None, str]


def text(tried: Sequence[Line], metric: str, baseline: str) -> str:
    """`tried`: settings, experiment, own comparison, p by Holm, verdict in the family; one row each."""
    digits = max(decimals(alone) for _, _, alone, _, _ in tried)
    level = f"{100 * (1 - tried[0][2].alpha):.4g}% CI"
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
    return f"{table}\n\n{against}\n{_next(tried)}"


def _difference(alone: Comparison, digits: int) -> tuple[str, str]:
    low, high = (number(end, digits, "+") for end in alone.ci)
    return number(alone.delta, digits, "+"), f"[{low}, {high}]"


def _next(tried: Sequence[Line]) -> str:
    won = [line for line in tried if line[4] == "progress"]
    if not won:
        return f"none of {len(tried)} is shown to be better"
    toward = verdict.sign(won[0][2].direction)
    settings, experiment, *_ = max(won, key=lambda line: toward * (line[2].delta or 0.0))
    return (
        f"{settings} is the best of {len(tried)} and shown to be better; being picked flatters it, "
        f"fresh seeds tell: assay accept {experiment} NAME"
    )
