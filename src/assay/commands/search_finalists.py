"""The best settings of a search, as experiments on fresh seeds: the only estimate that decides.

Covers: which settings become experiments, raw and shrunk estimates beside the confirmed one. Not covered: the search
(`commands.search`), the estimates (`stats.selection_estimates`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from assay.commands import changes_without_effect, experiment_grid, sweep
from assay.commands.experiment_grid import Cell, Wanted
from assay.commands.search_setup import SearchSetup
from assay.commands.sweep import Sweep
from assay.core.errors import AssayError, Exit, IncomparableError, ProvenanceError, UsageError
from assay.core.search_space import Setting, same, written
from assay.search.progress import SearchState
from assay.stats import selection_estimates
from assay.stats.selection_estimates import Array

Say = Callable[[str], None]


@dataclass(frozen=True)
class RankedSetting:
    """A setting by rank. `raw`: mean over `n` search seeds; `shrunk`: what selection does not raise, None where there
    are too few settings to tell; `experiment`: "" for one that was not confirmed."""

    number: int
    setting: Setting
    raw: float
    n: int
    shrunk: float | None
    experiment: str = ""


@dataclass(frozen=True)
class FoundBest:
    """What a search found. `ended`: why before its last setting; `tried`: size of the family; `flat`: no setting
    differs from another on any seed.

    `confirmed`: the finalists against the baseline, None where there are none.
    """

    name: str
    metric: str
    metric_version: str
    direction: str
    tried: int
    diverged: int
    doubled: int
    ended: str
    flat: bool
    ranked: list[RankedSetting]
    finalists: list[RankedSetting]
    confirmed: Sweep | None


def confirm(made: SearchSetup, state: SearchState, found: tuple[str, str], most: int, say: Say) -> FoundBest:
    """Rank what was tried, measure up to `most` finalists as experiments.

    `found`: why the search ended early, and its metric version. Raises UsageError where nothing finished,
    IncomparableError where the finalists have another metric version.
    """
    ended, version = found
    ranked, flat = ranking(state)
    if not ranked:
        raise UsageError(
            f"none of {len(state.tried)} settings finished: every one diverged, or did not run",
            allowed="a space with settings that train",
            hint="assay rates says which learning rates train, assay doctor what is wrong",
        )
    chosen = [] if flat else finalists(made, ranked, most)
    cells = {one.number: _cell(made, one.setting) for one in chosen}
    confirmed = None
    if cells:
        say(f"measuring {len(cells)} finalists as experiments, on fresh seeds, against the baseline")
        ideas = changes_without_effect.ideas(made.layout, list(cells.values()), say)
        if ideas:
            others = len(state.tried) - len(ideas)
            confirmed = sweep.measured_and_judged(made.layout, ideas, say, "search", others)
    if confirmed is not None and confirmed.metric_version != version:
        raise IncomparableError(
            f"the search {made.name} was scored under {version}, its finalists under {confirmed.metric_version}",
            allowed="one metric version for both",
            hint=f"assay search {made.name}-2 begins a new one",
        )
    ranked = [_named(one, cells) for one in ranked]
    table = state.standing()
    return FoundBest(
        name=made.name,
        metric=made.asked.metric.name,
        metric_version=version,
        direction=state.direction,
        tried=len(state.tried),
        diverged=len(state.diverged),
        doubled=int((~np.isnan(table.extra[:, 0])).sum()),
        ended=ended,
        flat=flat,
        ranked=ranked,
        finalists=[one for one in ranked if one.number in cells],
        confirmed=confirmed,
    )


def ranking(state: SearchState) -> tuple[list[RankedSetting], bool]:
    """Settings of the space that finished, best first, and whether the metric tells none of them apart."""
    table = state.standing()
    k = len(table.numbers)
    if not k:
        return [], False
    order, raw = table.ranked, table.sign * selection_estimates.raw(table.base, table.extra)
    shrunk = table.sign * selection_estimates.shrunk(table.base, table.extra) if k >= 2 else np.full(k, np.nan)
    told = k >= selection_estimates.FEWEST
    by_number = {one.number: one for one in state.tried}
    found = []
    for place, number in enumerate(order):
        n = sum(len(state.scores.get((number, part), ())) for part in (0, 1))
        estimate = float(shrunk[place])
        shown = estimate if told and math.isfinite(estimate) else None
        found.append(RankedSetting(number, by_number[number].setting, float(raw[place]), n, shown))
    return found, k > 1 and not _tells_apart(table.base) and not _tells_apart(table.extra)


def _tells_apart(scores: Array) -> bool:
    """Whether settings (k, r) differ on any seed; seeds differ by their first weights alone. nan: not measured."""
    there = scores[~np.isnan(scores).any(axis=1)]
    return len(there) > 1 and bool(np.ptp(there, axis=0).any())


def finalists(made: SearchSetup, ranked: list[RankedSetting], most: int) -> list[RankedSetting]:
    """Settings to confirm: the best of each value of the scientific keys, where there are such; else the best.

    HEAD's own setting is none, and nothing below it: it is what they are compared with, or was measured already.
    """
    own = next((place for place, one in enumerate(ranked) if one.number == 0), len(ranked))
    keys = made.plan.space.scientific
    if not keys:
        return ranked[: min(own, most)]
    best: dict[str, RankedSetting] = {}
    for one in ranked:
        if one.number:
            best.setdefault(same({key: one.setting.get(key) for key in keys}), one)
    return list(best.values())[:most]


def refused(code: int, error: UsageError) -> AssayError:
    """The error of a stage with the exit code that it had."""
    kinds: dict[int, type[AssayError]] = {Exit.INCOMPARABLE: IncomparableError, Exit.PROVENANCE: ProvenanceError}
    return kinds.get(code, UsageError)(error.problem, allowed=error.allowed, hint=error.hint)


def _cell(made: SearchSetup, setting: Setting) -> Cell:
    return experiment_grid.cell(made.layout, Wanted(made.name), written(setting))


def _named(one: RankedSetting, cells: dict[int, Cell]) -> RankedSetting:
    if one.number not in cells:
        return one
    return RankedSetting(one.number, one.setting, one.raw, one.n, one.shrunk, cells[one.number].name)
