"""Importance of parameters as text: shares with intervals, the line of chance, what to tune over which range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tabulate import tabulate

from assay.report.sensitivity_text import TUNED, written
from assay.stats.parameter_importance import Importance, Importances

_BAR = 30


def text(
    found: Importances, best: Mapping[str, Sequence[object]], metric: str, n: int, better: float, failed: int
) -> str:
    """`best`: parameter → values of the better quarter; `better`: share of settings above HEAD; `failed`: settings."""
    rows = [
        (one.key, f"{one.share:.0%}", _ends(one), "█" * round(_BAR * min(1.0, one.share)), "matters" * one.matters)
        for one in found.parameters
    ]
    heads = ("parameter", f"share of {metric}", "interval", "", "")
    told = [one for one in found.parameters if one.matters]
    noise = [one.key for one in found.parameters if not one.matters]
    lines = [
        tabulate(rows, heads, disable_numparse=True),
        "",
        f"over {found.settings} settings, {n} replicates each; shares of the variance of ranks, each by itself",
        f"this much is noise: {found.line:.0%}, which chance gives the largest of {len(rows)}",
    ]
    lines += [f"{one.key} matters: {_where(best[one.key])}" for one in told]
    if noise:
        lines.append(f"not shown to matter over these ranges: {', '.join(noise)}")
    rest = max(0.0, 1 - found.explained)
    lines.append(f"{rest:.0%} is neither: interactions, and the luck of seeds")
    lines.append(f"{better:.0%} of the settings end above HEAD, before luck is taken off: confirm what you pick")
    if failed:
        lines.append(f"{failed} settings did not run, and rank last")
    return "\n".join([*lines, f"next: {_next(told, best)}"])


def _ends(one: Importance) -> str:
    return f"[{one.ci[0]:.0%}, {one.ci[1]:.0%}]"


def _where(values: Sequence[object]) -> str:
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return f"the better quarter has {written(values[0])} to {written(values[-1])}; tune it there"
    return f"the better quarter has {', '.join(map(written, values))}"


def _next(told: Sequence[Importance], best: Mapping[str, Sequence[object]]) -> str:
    asked = [f"-S {one.key}={','.join(_grid(best[one.key]))}" for one in told[:TUNED]]
    if not asked:
        return "tune none of them; wider ranges (KEY=LOW,HIGH) or more replicates would show smaller shares"
    return f"assay sweep {' '.join(asked)}"


def _grid(values: Sequence[object]) -> list[str]:
    """Three values over a range, or all words."""
    low, high = values[0], values[-1]
    if not (isinstance(low, int | float) and isinstance(high, int | float)) or isinstance(low, bool):
        return [written(one) for one in values]
    middle = (float(low) * float(high)) ** 0.5 if float(low) > 0 else (float(low) + float(high)) / 2
    whole = isinstance(low, int) and isinstance(high, int)
    steps = [low, round(middle) if whole else float(f"{middle:.2g}"), high]
    return list(dict.fromkeys(written(one) for one in steps))
