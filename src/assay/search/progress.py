"""What comes next in a search, as its records say: settings to train, contenders to train more, settings to ask for.

Covers: the order of a search, the same however often it was killed; its standing. A generation is trained as a whole
before it is told, contenders get as many replicates more once after it, and only then the next one is asked for. Not
covered: records (`history.search_records`), training (`commands.search`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.core.search_space import SearchPlan, Setting, same
from assay.search import generations
from assay.search.generations import Proposal, ToldSetting
from assay.stats import selection_estimates
from assay.stats.selection_estimates import Array

#: (number of a setting, round) → scores, None where a replicate diverged; round 1 has the additional ones
Scores = Mapping[tuple[int, int], Sequence[float | None]]


@dataclass(frozen=True)
class TriedSetting:
    """A setting that was asked for."""

    number: int
    setting: Setting
    generation: int
    point: int | None = None


@dataclass(frozen=True)
class ToTrain:
    """Settings that lack replicates of a round."""

    generation: int
    round: int
    settings: list[TriedSetting]


@dataclass(frozen=True)
class ToAsk:
    """The next generation, to be recorded before it is trained."""

    generation: int
    sampler: str
    proposals: list[Proposal]


@dataclass(frozen=True)
class SearchStanding:
    """A table of settings that finished: their `numbers` (k,), `base` and `extra` (k, r), nan where there are no more.

    Values are as the metric has them, times `sign`: higher is better.
    """

    numbers: NDArray[np.int64]
    base: Array
    extra: Array
    sign: float

    @property
    def ranked(self) -> list[int]:
        """Numbers of the settings from best to worst."""
        return [int(one) for one in self.numbers[selection_estimates.ranking(self.base, self.extra)]]


@dataclass(frozen=True)
class _FinishedTable:
    """Replicates (k, r) in canonical order: the first ones, and additional ones, nan where one of them diverged."""

    numbers: NDArray[np.int64]
    generations: NDArray[np.int64]
    base: Array
    has_more: NDArray[np.bool_]
    more: Array


@dataclass(frozen=True)
class SearchState:
    """A search as far as it went. `starts`: settings to begin with; the first is that of HEAD. `known`: settings that
    were measured before, for the sampler alone: they are neither tried nor ranked."""

    plan: SearchPlan
    seed: int
    sampler: str
    direction: str = "maximize"
    worst: float | None = None
    starts: Sequence[Setting] = ()
    known: Sequence[ToldSetting] = ()
    tried: Sequence[TriedSetting] = ()
    scores: Scores = field(default_factory=dict)

    def next(self, settings: int) -> ToTrain | ToAsk | None:
        """The next step of a search over so many settings; None where it is done."""
        return self.pending() or self._ask(1 + max((one.generation for one in self.tried), default=-1), settings)

    def pending(self) -> ToTrain | None:
        """What has been asked for and is not trained yet."""
        doubled: set[int] = set()
        parts: dict[int, list[TriedSetting]] = {}
        for one in self.tried:
            parts.setdefault(one.generation, []).append(one)
        for generation, part in sorted(parts.items()):
            if missing := [one for one in part if (one.number, 0) not in self.scores]:
                first = missing[:1] if missing[0].number == 0 else missing  # it says what the others will cost
                return ToTrain(generation, 0, first)
            close = self._contenders(generation, doubled)
            doubled |= {one.number for one in close}
            if missing := [one for one in close if (one.number, 1) not in self.scores]:
                return ToTrain(generation, 1, missing)
        return None

    def standing(self, generation: int | None = None, doubled: set[int] | None = None) -> SearchStanding:
        """Settings of the space that finished, up to `generation`; additional replicates of `doubled` ones alone."""
        every = self._finished
        keep = np.ones(len(every.numbers), bool) if generation is None else every.generations <= generation
        use = every.has_more if doubled is None else every.has_more & np.isin(every.numbers, list(doubled))
        keep &= ~(use & np.isnan(every.more[:, 0]))  # diverged later
        base, more = every.base[keep], np.where(use[:, None], every.more, np.nan)[keep]
        sign = 1.0 if self.direction == "maximize" else -1.0
        return SearchStanding(every.numbers[keep], sign * base, sign * more, sign)

    @cached_property
    def _finished(self) -> _FinishedTable:
        """Settings of the space whose first replicates count, whatever became of later ones."""
        r = self.plan.replicates
        rows, more, numbers = list[list[float]](), list[list[float]](), list[tuple[int, int, bool]]()
        for one in self.tried:
            base = self._placed(self.scores.get((one.number, 0)))
            if base is None or self.plan.space.outside(one.setting):
                continue
            rows.append(base)
            more.append(self._placed(self.scores.get((one.number, 1))) or [np.nan] * r)
            numbers.append((one.number, one.generation, (one.number, 1) in self.scores))
        of = np.array(numbers, int).reshape(-1, 3)
        tables = [np.array(part, float).reshape(len(rows), r) for part in (rows, more)]
        return _FinishedTable(of[:, 0], of[:, 1], tables[0], of[:, 2].astype(bool), tables[1])

    def told(self) -> list[ToldSetting]:
        """Every finished setting in canonical order, with the mean over its replicates."""
        found = []
        for one in self.tried:
            if (one.number, 0) in self.scores:
                scores = [*self.scores[one.number, 0], *self.scores.get((one.number, 1), ())]
                found.append(ToldSetting(one.setting, generations.mean(scores, self.worst), one.generation))
        return found

    @property
    def diverged(self) -> list[int]:
        """Numbers of the settings in which a replicate diverged, or that did not run."""
        return [
            one.number for one in self.tried if any(None in self.scores.get((one.number, part), ()) for part in (0, 1))
        ]

    def _placed(self, scores: Sequence[float | None] | None) -> list[float] | None:
        """Scores, diverged ones as the worst value; None where they do not count, or are not there."""
        placed = [self.worst if one is None else one for one in scores or ()]
        found = [one for one in placed if one is not None]
        return found if placed and len(found) == len(placed) else None

    def _contenders(self, generation: int, doubled: set[int]) -> list[TriedSetting]:
        table = self.standing(generation, doubled)
        if len(table.numbers) < 2 or self.plan.replicates < 2:
            return []
        wanted = table.numbers[selection_estimates.contenders(table.base, table.extra)]
        return [self._by_number[int(number)] for number in wanted]

    @cached_property
    def _by_number(self) -> dict[int, TriedSetting]:
        return {one.number: one for one in self.tried}

    def _ask(self, generation: int, settings: int) -> ToAsk | None:
        count = min(generations.SIZE, settings - len(self.tried))
        if count <= 0:
            return None
        if generation == 0:
            return self._first(count)
        told = self.told()
        if all(one.value is None for one in told) and self.worst is None:
            return None
        who = generations.sampler(len(self.tried), self.sampler)
        known = self._known_alone(settings)
        if who == generations.TPE:
            seed = generations.seed_of(self.seed, generation)
            found = generations.tpe(self.plan.space, [*known, *told], count, seed, self.direction, self.worst)
        else:
            tried = [*(one.setting for one in known), *(one.setting for one in self.tried)]
            found = self._drawn(who, generation, tried, count)
        return ToAsk(generation, who, found) if found else None

    def _known_alone(self, settings: int) -> list[ToldSetting]:
        """What was measured before the search, and not in it; nothing where the search tries the whole space."""
        if self.plan.space.count <= settings:
            return []
        here = {same(one.setting) for one in self.tried}
        return [one for one in self.known if same(one.setting) not in here]

    def _drawn(self, who: str, generation: int, tried: Sequence[Setting], count: int) -> list[Proposal]:
        """Settings that follow from no score: a kill can change nothing about them, and neither can another machine."""
        if who == generations.RANDOM:
            return generations.random(self.plan.space, tried, count, generations.seed_of(self.seed, generation))
        first = 1 + max((one.point for one in self.tried if one.point is not None), default=-1)
        return generations.sobol(self.plan.space, tried, first, count, self.seed)

    def _first(self, count: int) -> ToAsk:
        """HEAD's own setting and those of other searches, then the first ones of the sampler."""
        starts: dict[str, Proposal] = {}
        for setting in self.starts[:count]:
            starts.setdefault(same(setting), Proposal(setting))
        left = count - len(starts)
        who = generations.sampler(0, self.sampler)
        drawn = self._drawn(who, 0, [one.setting for one in starts.values()], left) if left else []
        return ToAsk(0, who, [*starts.values(), *drawn])
