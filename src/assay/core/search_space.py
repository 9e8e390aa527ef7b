"""`search:` in params.yaml: a typed space of parameters, how many settings, how many replicates of each.

Covers: a point of the unit cube → a setting, conditional keys, whether a setting lies inside. It belongs to no
strategy: no identity holds it, and no stage reads it. Not covered: reading it (`core.search_section`), which points
(`search.generations`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from assay.core.short_repr import excerpt

SCIENTIFIC, NUISANCE = "scientific", "nuisance"
#: settings and replicates of each, where the section says nothing
SETTINGS, REPLICATES = 64, 3
Setting = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """The key is there only where another one has one of these values."""

    key: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.key}={','.join(map(str, self.values))}"


@dataclass(frozen=True)
class SearchKey:
    """One parameter of the space. `role`: whether it is asked about, or tuned so that what is asked about is fair."""

    key: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    value: Any = None  # of a fixed one
    role: str = NUISANCE
    when: Condition | None = None

    def at(self, place: float) -> Any:
        """The value at a place in [0, 1), numbers of three figures."""
        if self.kind == "choice":
            return self.choices[min(int(place * len(self.choices)), len(self.choices) - 1)]
        if self.kind == "int":
            return int(min(self.low + math.floor(place * (self.high - self.low + 1)), self.high))
        if self.kind == "log_int":
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return int(min(max(round(math.exp(low + place * (high - low))), self.low), self.high))
        if self.kind == "log":
            found = self.low * (self.high / self.low) ** place
        else:
            found = self.low + place * (self.high - self.low)
        return min(max(float(f"{found:.3g}"), self.low), self.high)

    def holds(self, value: Any) -> bool:
        """Whether a value lies inside."""
        if self.kind in ("choice", "fixed"):
            return value in (self.choices if self.kind == "choice" else (self.value,))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and (self.kind[-3:] != "int" or int(value) == value)

    @property
    def count(self) -> float:
        """How many values it has."""
        if self.kind in ("choice", "fixed"):
            return max(1, len(self.choices))
        return self.high - self.low + 1 if self.kind.endswith("int") else math.inf

    @property
    def text(self) -> str:
        """As in params.yaml, in one line."""
        if self.kind == "fixed":
            return f"{self.key}={self.value} (fixed)"
        values = self.choices if self.kind == "choice" else (f"{self.low:g}", f"{self.high:g}")
        role = f", {self.role}" if self.role == SCIENTIFIC else ""
        when = f", when {self.when}" if self.when else ""
        return f"{self.key} in {self.kind} [{', '.join(map(str, values))}]{role}{when}"


@dataclass(frozen=True)
class SearchSpace:
    """Keys, each after the one that it depends on."""

    keys: tuple[SearchKey, ...]

    @property
    def searched(self) -> tuple[SearchKey, ...]:
        """Keys that take several values: one dimension each, whether or not a setting has them."""
        return tuple(one for one in self.keys if one.kind != "fixed")

    @property
    def scientific(self) -> tuple[str, ...]:
        return tuple(one.key for one in self.keys if one.role == SCIENTIFIC)

    def setting(self, point: Sequence[float]) -> Setting:
        """The setting at a point (D,) of the unit cube, D the number of searched keys; fixed keys included."""
        places = dict(zip((one.key for one in self.searched), point, strict=True))
        found: Setting = {}
        for one in self.keys:
            if applies(one, found):
                found[one.key] = one.value if one.kind == "fixed" else one.at(places[one.key])
        return found

    def outside(self, setting: Mapping[str, Any]) -> str:
        """Why a setting is none of this space; "" for one that is."""
        for one in self.keys:
            if applies(one, setting) and not one.holds(setting.get(one.key)):
                return f"{one.key} is {excerpt(setting.get(one.key))}, and the space has {one.text}"
        return ""

    def within(self, values: Mapping[str, Any]) -> Setting:
        """What a setting of this space would hold of `values`."""
        found: Setting = {}
        for one in self.keys:
            if one.key in values and applies(one, values):
                found[one.key] = values[one.key]
        return found

    @property
    def count(self) -> float:
        """How many settings there are at most."""
        return math.prod(one.count for one in self.keys)

    @property
    def canonical(self) -> str:
        """The same text for the same space, whatever the order and the spelling in the file."""
        plain = sorted((msgspec.to_builtins(one) for one in self.keys), key=lambda one: str(one["key"]))
        return msgspec.json.encode(plain, order="deterministic").decode()


def keys_of(canonical: str) -> list[SearchKey]:
    """The keys of a space that was written as `SearchSpace.canonical`; [] where another version wrote it."""
    try:
        return msgspec.json.decode(canonical, type=list[SearchKey])
    except msgspec.DecodeError:
        return []


@dataclass(frozen=True)
class SearchPlan:
    """The section as a whole. `replicates`: search seeds of each setting; contenders get as many more."""

    space: SearchSpace
    settings: int = SETTINGS
    replicates: int = REPLICATES
    seed: int | None = None  # None: that of params.yaml


def applies(one: SearchKey, setting: Mapping[str, Any]) -> bool:
    """Whether a setting has this key, as its condition says."""
    return one.when is None or (one.when.key in setting and setting[one.when.key] in one.when.values)


def same(setting: Mapping[str, Any]) -> str:
    """One text for settings that are the same."""
    return msgspec.json.encode(dict(setting), order="deterministic").decode()


def written(setting: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings as `dvc exp run -S` takes them; lists and texts as JSON."""
    return tuple(f"{key}={text_of(value)}" for key, value in setting.items())


def text_of(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    plain = isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum() and not value[:1].isdigit()
    return str(value) if plain and value not in ("true", "false", "null") else msgspec.json.encode(value).decode()
