"""`assay tune` as text: the candidate's value, the baseline at every value, the verdict, what to do next."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tabulate import tabulate

from assay.report.comparison_text import arm, decimals, doubts, number, p_value
from assay.stats.equal_tuning import Rival, TuningVerdict


def text(
    verdict: TuningVerdict,
    metric: str,
    who: tuple[str, str],
    values: tuple[str, str],
    search: Mapping[str, tuple[float | None, int]],
    edges: Mapping[str, str],
    experiment: str,
) -> str:
    """`who`: candidate and baseline; `values`: the candidate's chosen value and the baseline's best; `search`: value →
    mean and number of search seeds; `edges`: whose best value is the last of the grid."""
    digits = max(decimals(one.comparison) for one in verdict.rivals)
    first = verdict.rivals[0].comparison
    level = f"{100 * (1 - first.alpha):.4g}% CI"
    heads = (f"{who[1]} at", metric, "candidate −", level, "p", "beaten")
    table = tabulate([_row(one, digits) for one in verdict.rivals], heads, disable_numparse=True)
    tried = ", ".join(f"{value} {number(mean, digits)} (n={n})" for value, (mean, n) in search.items())
    lines = [
        f"{who[0]} searched on seeds of their own: {tried}",
        f"{who[0]} at {values[0]}, judged on fresh seeds: {metric} {arm(first.candidate, digits)}",
        "",
        table,
        "",
        f"{verdict.verdict}: {_said(verdict, values)}",
        *(line for one in verdict.rivals for line in doubts(one.comparison)),
        *(f"{name}: its best value, {value}, lies on the edge of the grid" for name, value in edges.items()),
        f"next: {_next(verdict, edges, experiment)}",
    ]
    return "\n".join(lines)


def _row(one: Rival, digits: int) -> tuple[str, str, str, str, str, str]:
    found = one.comparison
    low, high = (number(end, digits, "+") for end in found.ci)
    ends = f"[{low}, {high}]" if math.isfinite(found.ci[0]) else "–"
    beaten = "yes" if found.verdict == "progress" else "no"
    return one.name, arm(found.baseline, digits), number(found.delta, digits, "+"), ends, p_value(found.p), beaten


def _said(verdict: TuningVerdict, values: tuple[str, str]) -> str:
    both = f"candidate at {values[0]}, baseline best at {values[1]}"
    if verdict.verdict == "progress":
        return f"{both}; it beats the baseline at each of {len(verdict.rivals)} values"
    lost = ", ".join(verdict.unbeaten)
    if verdict.verdict == "regression":
        worse = [one.name for one in verdict.rivals if one.comparison.verdict == "regression"]
        return f"{both}; the baseline beats it at {', '.join(worse)}"
    return f"{both}; it is not shown to beat the baseline at {lost}"


def _next(verdict: TuningVerdict, edges: Mapping[str, str], experiment: str) -> str:
    beyond = "the same command with values beyond the edge; what is measured is not trained again"
    if verdict.verdict == "progress":
        accept = f"assay accept {experiment} NAME, which confirms it on fresh seeds"
        return f"{accept}; or {beyond}" if edges else accept
    if edges:
        return beyond
    return f'another idea; assay reject {experiment} --why "…" keeps this one in the log'
