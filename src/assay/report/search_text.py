"""`assay search` as text: what is searched, how far it is, raw, shrunk and confirmed estimates side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from assay.core.search_space import SearchPlan, written
from assay.report.comparison_text import arm, decimals, doubts, number, p_value
from assay.stats.arm_comparison import Comparison

#: what stands where selection leaves no estimate
CONFIRM = "confirm"
#: share of a training's time from which on the loader is called the limit
LIMIT = 0.5
#: settings of the table that became no experiment
_MORE = 5
#: experiments that a line names
_NAMED = 3


@dataclass(frozen=True)
class SearchLine:
    """A setting in the table. `confirmed`: its comparison on fresh seeds, p by Holm and verdict among the finalists."""

    settings: str
    raw: float
    n: int
    shrunk: float | None
    experiment: str = ""
    confirmed: Comparison | None = None
    p_holm: float | None = None
    verdict: str = ""


def opening(name: str, plan: SearchPlan, outside: str, measured: int) -> list[str]:
    """The space and its size, before anything trains."""
    keys = "; ".join(one.text for one in plan.space.keys)
    lines = [f"search {name}: {plan.settings} settings on {plan.replicates} search seeds each, over {keys}"]
    if plan.space.count < plan.settings:
        lines.append(f"the space has {plan.space.count:.0f} settings and no more: the search ends with them")
    if outside:
        lines.append(
            f"HEAD is outside of the space: {outside}; it is measured beside the search, and told to no sampler"
        )
    if measured:
        lines.append(f"going on: {measured} settings are recorded")
    return lines


def known(sources: Sequence[str], best: tuple[str, float, str] | None, judged: bool) -> str:
    """What was measured before the search: experiments and other searches; setting, mean and source of the best.

    `judged`: whether metric and environment are known to be the same.
    """
    named = list(dict.fromkeys(sources))
    listed = ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED} more" if len(named) > _NAMED else "")
    many = "1 setting was" if len(sources) == 1 else f"{len(sources)} settings were"
    line = f"{many} measured before ({listed}): told to the sampler, and not trained again"
    line += "" if judged else ", where metric and environment are the same"
    return line if best is None else f"{line}; best of them {best[0]}: {best[1]:.4g} ({best[2]})"


def use(device: str, seconds: float, busy: float | None, loading: float | None) -> list[str]:
    """What the first setting says about the machine."""
    told = [f"a training takes {seconds:.2g} s on {device}"]
    told += [] if busy is None else [f"{device} {busy:.0%} busy"]
    told += [] if loading is None else [f"making batches takes {loading:.0%} of the time"]
    lines = [f"after the first setting: {', '.join(told)}"]
    if loading is not None and loading >= LIMIT:
        lines.append("the loader is the limit, not the model: raise machine.loaders, or let decode() do more once")
    return lines


def progress(tried: int, settings: int, diverged: int, best: tuple[str, float, int] | None, metric: str) -> str:
    """How far a search is; `best`: settings, mean and replicates."""
    line = f"{tried} of {settings} settings" + (f", {diverged} diverged" if diverged else "")
    if best is None:
        return f"{line}; none has finished"
    return f"{line}; best so far {best[0]}: {metric} {best[1]:.4g} (n={best[2]}, picked: it looks better than it is)"


def text(
    counts: tuple[int, int, int],
    ended: str,
    flat: bool,
    lines: Sequence[SearchLine],
    metric: str,
    failed: Mapping[str, str],
) -> str:
    """`counts`: settings that were tried, that diverged, that got more replicates. `lines`: best first, the finalists
    among them; `failed`: finalists that did not run → why."""
    tried, diverged, doubled = counts
    confirmed = [one for one in lines if one.confirmed is not None]
    digits = max((decimals(one.confirmed) for one in confirmed if one.confirmed), default=4)
    shown = [*[one for one in lines if one.experiment], *[one for one in lines if not one.experiment][:_MORE]]
    heads = ("setting", "raw", "shrunk", "confirmed", "delta", "CI", "p (Holm)", "verdict", "experiment")
    table = tabulate([_row(one, digits) for one in shown], heads, disable_numparse=True)
    family = f"family: all {tried} settings that were tried; {doubled} contenders got more replicates"
    family += f"; {diverged} diverged or did not run" if diverged else ""
    said = [f"{one.settings}: {line}" for one in confirmed if one.confirmed for line in doubts(one.confirmed)]
    return "\n".join(
        [
            f"{metric}, on search seeds (raw, shrunk) and on fresh ones (confirmed)",
            table,
            "",
            family,
            *([f"ended early: {ended}"] if ended else []),
            *said,
            *failed.values(),
            *_meaning(lines, flat),
            f"next: {_next(lines, confirmed, ended, flat)}",
        ]
    )


def _row(one: SearchLine, digits: int) -> tuple[str, ...]:
    shrunk = CONFIRM if one.shrunk is None else number(one.shrunk, digits)
    left = (one.settings, f"{number(one.raw, digits)} (n={one.n})", shrunk)
    found = one.confirmed
    if found is None:
        return (*left, "", "", "", "", "", one.experiment)
    low, high = (number(end, digits, "+") for end in found.ci)
    ends = f"[{low}, {high}]" if math.isfinite(found.ci[0]) else "–"
    p = "" if one.p_holm is None else p_value(one.p_holm)
    return (*left, arm(found.candidate, digits), number(found.delta, digits, "+"), ends, p, one.verdict, one.experiment)


def _meaning(lines: Sequence[SearchLine], flat: bool) -> list[str]:
    if flat:
        return [
            "on each seed the metric has one value for every setting: it has no spread, and nothing can be chosen by it"
        ]
    if lines and lines[0].shrunk is None:
        return [f"{CONFIRM}: of fewer than 10 settings nobody can say what picking the best adds; fresh seeds tell"]
    return ["raw is what was picked, and flattered by it; shrunk takes that out on average; only confirmed decides"]


def _next(lines: Sequence[SearchLine], confirmed: Sequence[SearchLine], ended: str, flat: bool) -> str:
    if flat:
        return "a metric with more steps, or a space that it tells apart"
    won = [one for one in confirmed if one.verdict == "progress"]
    if won:
        return f"assay accept {won[0].experiment} NAME: {won[0].settings} is shown to be better on fresh seeds"
    if confirmed:
        return f"none of {len(confirmed)} finalists is shown to be better: a wider space, or another idea"
    if any(one.experiment for one in lines):
        return "no finalist ran"
    if ended == "budget":
        return "the same command with more budget goes on"
    return "HEAD's own setting ranks first: another space, or another idea"


def label(setting: Mapping[str, object]) -> str:
    """A setting in one line."""
    return " ".join(written(setting))
