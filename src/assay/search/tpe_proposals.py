"""Settings that Optuna's TPE proposes: asked for at once, from a study that is made of records and then forgotten.

A study that lives on and one that is rebuilt propose differently, and so does another order of records. So it is always
rebuilt, in the order of the settings' numbers, with a seed of its own for each generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from assay.core.search_space import SearchKey, SearchSpace, Setting, applies
from assay.search.optuna_package import optuna

Direction = Literal["minimize", "maximize"]


def propose(
    space: SearchSpace, told: Sequence[tuple[Setting, float]], count: int, seed: int, direction: Direction
) -> list[Setting]:
    """`count` settings for what was `told`: settings of the space with a value each, in canonical order."""
    made = study(space, told, seed, direction)
    return [_asked(space, made.ask()) for _ in range(count)]


def study(space: SearchSpace, told: Sequence[tuple[Setting, float]], seed: int, direction: Direction) -> Any:
    """A study in memory that knows what was `told`, and nothing else."""
    # every setting that was told counts from the first: the Sobol sequence was the start
    sampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=1, multivariate=True, group=True, constant_liar=True
    )
    made = optuna.create_study(direction=direction, sampler=sampler)
    distributions = {one.key: _distribution(one) for one in space.searched}
    trials = []
    for setting, value in told:
        params = {one.key: _plain(one, setting[one.key]) for one in space.searched if one.key in setting}
        known = {key: distributions[key] for key in params}
        trials.append(optuna.trial.create_trial(params=params, distributions=known, value=value))
    made.add_trials(trials)
    return made


def _asked(space: SearchSpace, trial: Any) -> Setting:
    found: Setting = {}
    for one in space.keys:
        if applies(one, found):
            found[one.key] = one.value if one.kind == "fixed" else _value(one, _suggested(one, trial))
    return found


def _suggested(one: SearchKey, trial: Any) -> Any:
    if one.kind == "choice":
        return trial.suggest_categorical(one.key, range(len(one.choices)))
    if one.kind.endswith("int"):
        return trial.suggest_int(one.key, int(one.low), int(one.high), log=one.kind.startswith("log"))
    return trial.suggest_float(one.key, one.low, one.high, log=one.kind == "log")


def _distribution(one: SearchKey) -> Any:
    if one.kind == "choice":
        return optuna.distributions.CategoricalDistribution(range(len(one.choices)))
    if one.kind.endswith("int"):
        return optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.kind.startswith("log"))
    return optuna.distributions.FloatDistribution(one.low, one.high, log=one.kind == "log")


def _plain(one: SearchKey, value: Any) -> Any:
    """A choice by its place: Optuna takes no lists."""
    return one.choices.index(value) if one.kind == "choice" else value


def _value(one: SearchKey, plain: Any) -> Any:
    if one.kind == "choice":
        return one.choices[plain]
    return int(plain) if one.kind.endswith("int") else min(max(float(f"{plain:.3g}"), one.low), one.high)
