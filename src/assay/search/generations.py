"""Generations of a search: settings that are asked for at once, trained together, and told together.

Covers: random settings, points of one scrambled Sobol sequence, TPE beyond them, leaving out what was tried, what a
diverged setting is told as. All follows from the records before the generation and from its number, so that a search
that was killed goes on as it would have gone. Not covered: records (`history.search_records`), training.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from assay.core.search_space import SearchSpace, Setting, same

#: settings of a generation
SIZE = 8
#: purpose of the seeds: they judge nothing
SEARCH_PURPOSE = "search"
SOBOL, RANDOM, TPE, SOBOL_TPE = "sobol", "random", "tpe", "sobol-tpe"
#: sampler that was asked for → who proposes first, and for how many settings; then TPE does
BEGINNINGS = {TPE: (RANDOM, 16.0), SOBOL_TPE: (SOBOL, 64.0), SOBOL: (SOBOL, math.inf)}
#: the one that ranks best on our benchmark (docs/searching.md), and the one that needs no package
DEFAULT, WITHOUT_PACKAGE = TPE, SOBOL
#: points that may be passed over for one new setting, before a space of few settings counts as used up
PASSED = 256
#: how often TPE is asked again where it proposes what was tried
AGAIN = 4


@dataclass(frozen=True)
class Proposal:
    """A setting to try. `point`: its number in the Sobol sequence, None for one of TPE."""

    setting: Setting
    point: int | None = None


@dataclass(frozen=True)
class ToldSetting:
    """A setting that was tried. `value`: the mean over its replicates, None where it diverged."""

    setting: Setting
    value: float | None
    generation: int


def sampler(tried: int, asked: str) -> str:
    """Who proposes the next generation after so many settings."""
    first, settings = BEGINNINGS[asked]
    return first if tried < settings else TPE


def sobol(space: SearchSpace, tried: Sequence[Setting], first: int, count: int, seed: int) -> list[Proposal]:
    """The next `count` settings from point `first` of the sequence on, those that were tried left out.

    Fewer where a space of few settings is used up.
    """
    known = {same(one) for one in tried}
    engine = qmc.Sobol(len(space.searched), scramble=True, rng=np.random.default_rng(seed))
    if first:
        engine.fast_forward(first)
    found: list[Proposal] = []
    for number in range(first, first + PASSED * count):
        setting = space.setting([float(one) for one in engine.random(1)[0]])
        if same(setting) not in known:
            known.add(same(setting))
            found.append(Proposal(setting, number))
        if len(found) == count or len(known) >= space.count:
            break
    return found


def random(space: SearchSpace, tried: Sequence[Setting], count: int, seed: int) -> list[Proposal]:
    """`count` settings drawn evenly by themselves, those that were tried left out; fewer where a space is used up."""
    known, found = {same(one) for one in tried}, list[Proposal]()
    draws = np.random.default_rng(seed)
    for _ in range(PASSED * count):
        setting = space.setting([float(one) for one in draws.random(len(space.searched))])
        if same(setting) not in known:
            known.add(same(setting))
            found.append(Proposal(setting))
        if len(found) == count or len(known) >= space.count:
            break
    return found


def tpe(
    space: SearchSpace, told: Sequence[ToldSetting], count: int, seed: int, direction: str, worst: float | None
) -> list[Proposal]:
    """The next `count` settings by TPE, from what was told so far, in canonical order."""
    proposals = importlib.import_module("assay.search.tpe_proposals")
    values = as_told(told, direction, worst)
    inside = [(one.setting, value) for one, value in zip(told, values, strict=True) if not space.outside(one.setting)]
    known, found = {same(one.setting) for one in told}, list[Proposal]()
    for attempt in range(AGAIN):
        for setting in proposals.propose(space, inside, count, seed + attempt, direction):
            if same(setting) not in known and len(found) < count:
                known.add(same(setting))
                found.append(Proposal(setting))
        if len(found) == count:
            break
    return found


def as_told(told: Sequence[ToldSetting], direction: str, worst: float | None) -> list[float]:
    """(k,) values as a sampler is told them: a diverged setting as `worst`, else as the worst finished value of earlier
    generations, of its own where there is none earlier. Raises ValueError where nothing finished.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    finished = [(one.generation, one.value) for one in told if one.value is not None]
    if not finished:
        raise ValueError("no setting finished")
    first = min(generation for generation, _ in finished)
    found = []
    for one in told:
        if one.value is not None:
            found.append(one.value)
        elif worst is not None:
            found.append(worst)
        else:
            until = max(one.generation - 1, first)
            found.append(sign * min(sign * value for generation, value in finished if generation <= until))
    return found


def seed_of(search: int, generation: int) -> int:
    """The sampler's seed in one generation of a search."""
    return int(np.random.SeedSequence([search, generation]).generate_state(1)[0])


def mean(scores: Sequence[float | None], worst: float | None) -> float | None:
    """The value of a setting: the mean over its replicates, diverged ones as `worst`; None without it."""
    placed = [worst if one is None or not math.isfinite(one) else one for one in scores]
    values = [one for one in placed if one is not None]
    return float(np.mean(values)) if values and len(values) == len(placed) else None


def require_tpe() -> None:
    """Raises UsageError, naming what installs it, where Optuna is not there."""
    importlib.import_module("assay.search.tpe_proposals")
