"""Which parameters `assay sensitivity` varies, and by how much: a step down and a step up from where they are.

Covers: what the user names, and defaults for numbers of the strategy. What has no natural step is named and left alone.
Not covered: measuring them (`commands.sensitivity`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.commands.experiment_grid import check_profile
from assay.commands.sweep import listed
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.json_encoding import json_form
from assay.core.params_yaml import Params, Train
from assay.core.yaml12 import parse
from assay.report.sensitivity_text import written

#: parameter → factor of one step
STEPS = {"lr": 3.0, "train.weight_decay": 3.0, "train.clip": 3.0}
STEP = 2.0
#: parameter → value of one step up from 0, where most projects begin
FROM_ZERO = {"train.weight_decay": 1e-4, "train.clip": 1.0, "train.momentum": 0.9}
DROPOUT = 0.1
#: parameters that ask another question than how to train: they are varied where they are named
LEFT = ("train.sample", "train.deterministic", "train.precision")
#: levels of all parameters together
LARGEST = 64


@dataclass(frozen=True)
class FactorPlan:
    """Parameter → values beside the centre's, from low to high; `centre`: parameter → its value; `left`: not varied."""

    levels: Mapping[str, list[object]]
    centre: Mapping[str, object]
    left: Mapping[str, str]  # parameter → why

    @property
    def settings(self) -> list[tuple[str, object, str]]:
        """(parameter, value, setting as typed) of every level."""
        return [(key, value, f"{key}={written(value)}") for key, values in self.levels.items() for value in values]


def plan(asked: Params, named: Sequence[str]) -> FactorPlan:
    """The levels around `asked`. `named`: KEY or KEY=VALUE,VALUE; none of them varies every number.

    Raises UsageError for a key that is no parameter of the strategy or one that the profile sets, for values that are
    no list or the centre's own, and for nothing to vary.
    """
    known = _parameters(asked)
    pinned = dict(params_yaml.leaves(asked.profiles[asked.profile]))
    check_profile(asked, named)
    levels: dict[str, list[object]] = {}
    left: dict[str, str] = {}
    for name in named or [key for key in known if key not in LEFT]:
        key = name.partition("=")[0]
        known |= _option(asked, key)
        if key not in known:
            raise UsageError(f"{key} is no parameter of the strategy", allowed=", ".join(known))
        if key in levels or key in left:
            raise UsageError(f"{key} is named twice", allowed="each parameter once")
        around = () if key in pinned else _around(key, known[key], asked)
        values = _typed(name, known[key]) if "=" in name else list(around)
        if values:
            levels[key] = values
        else:
            left[key] = f"the profile {asked.profile} sets it" if key in pinned else _why(key, known[key], asked)
    if named and left:
        key, why = next(iter(left.items()))
        raise UsageError(f"{key} has no step of its own: {why}", allowed=f"{key}=VALUE,VALUE")
    count = sum(map(len, levels.values()))
    if not 1 <= count <= LARGEST:
        raise UsageError(f"{count} values to try", allowed=f"1 to {LARGEST}", hint="name some: assay sensitivity lr")
    return FactorPlan(levels, {key: known[key] for key in levels}, left)


def _parameters(asked: Params) -> dict[str, object]:
    """Dotted key → value of what a strategy trains with."""
    if asked.is_script:
        return dict(params_yaml.leaves(json_form(asked.own)))
    given = {key: value for key, value in params_yaml.strategy(asked).items() if key in params_yaml.OVERLAID}
    return dict(params_yaml.leaves(given))


def _option(asked: Params, key: str) -> dict[str, object]:
    """An option of the recipe at its default, which a strategy does not write out."""
    section, _, name = key.partition(".")
    found = not asked.is_script and section == "train" and name in Train.__struct_fields__
    return {key: getattr(asked.train, name)} if found else {}


def _typed(name: str, centre: object) -> list[object]:
    values: list[Any] = [parse(f"value: {one.partition('=')[2]}")["value"] for one in listed(name)]
    if centre in values:
        raise UsageError(f"{name} holds {written(centre)}, which HEAD has already", allowed="other values")
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    return sorted(values) if numbers else values


def _around(key: str, value: object, asked: Params) -> Iterator[object]:
    """A step down and a step up, as far as the parameter has them."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (key == "train.momentum" and not _sgd(asked)):
        return
    if value == 0:
        first = FROM_ZERO.get(key, DROPOUT if "dropout" in key else None)
        yield from () if first is None else (first,)
    elif key == "train.momentum" or (isinstance(value, float) and 0.5 <= value < 1 and key not in STEPS):
        yield from (_plain(1 - (1 - value) * STEP), _plain(1 - (1 - value) / STEP))
    elif isinstance(value, int):
        low, high = round(value / STEP), round(value * STEP)
        yield from ([low] if 1 <= low < value else [])
        yield high
    else:
        step = STEPS.get(key, STEPS["lr"] if key.rpartition(".")[2] in ("lr", "learning_rate") else STEP)
        yield from (_plain(value / step), _plain(value * step))


def _plain(value: float) -> float:
    """Two figures: 0.009 and not 0.009000000000000001."""
    return float(f"{value:.2g}")


def _sgd(asked: Params) -> bool:
    return asked.is_script or asked.train.optimizer == "sgd"


def _why(key: str, value: object, asked: Params) -> str:
    if key == "train.momentum" and not _sgd(asked):
        return f"{asked.train.optimizer} does not read it"
    return "it is 0, and its scale is not known" if value == 0 and not isinstance(value, bool) else "it is no number"
