"""Accepted changes, each taken out of the baseline: a table, and in words which still bring something."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tabulate import tabulate

from assay.report.comparison_text import decimals, number, p_value
from assay.stats.one_factor import Factor


def text(changes: Sequence[Factor], metric: str, about: tuple[str, int, float], experiments: Mapping[str, str]) -> str:
    """`about`: baseline, seeds, alpha; `experiments`: strategy → the experiment without its change."""
    baseline, n, alpha = about
    digits = max((decimals(one.levels[0].alone) for one in changes if one.levels[0].alone), default=4)
    rows = [(one.key, *_numbers(one, digits), experiments[one.key]) for one in changes]
    heads = ("without", f"{metric} delta", f"{100 * (1 - alpha):.4g}% CI", "p (Holm)", "experiment")
    said = [f"{one.key} {finding(one)}" for one in changes]
    harmful = [one.key for one in changes if one.levels[0].verdict == "progress"]
    lines = [tabulate(rows, heads, disable_numparse=True), "", f"against {baseline} on {n} shared seeds, paired", *said]
    if harmful:
        lines.append(f"next: assay accept {experiments[harmful[0]]} NAME, which confirms it on fresh seeds")
    return "\n".join(lines)


def finding(one: Factor) -> str:
    """What the baseline without a change says of the change."""
    level = one.levels[0]
    match level.verdict:
        case "regression":
            return "still brings a gain: the baseline is worse without it"
        case "progress":
            return "harms by now: the baseline is better without it"
        case "equivalent":
            return "is idle by now: the baseline is as good without it"
        case "fails":
            return "is needed: the baseline does not run, or diverges, without it"
    within = f"; it is below {level.bound:.3g}" if math.isfinite(level.bound) else ""
    return f"is carried along: no effect of it is shown any more{within}"


def _numbers(one: Factor, digits: int) -> tuple[str, str, str]:
    alone = one.levels[0].alone
    if alone is None or alone.delta is None:
        return "–", "–", "–"
    low, high = alone.ci
    ends = f"[{number(low, digits, '+')}, {number(high, digits, '+')}]" if math.isfinite(low) else "–"
    return number(alone.delta, digits, "+"), ends, p_value(one.levels[0].p_holm)
