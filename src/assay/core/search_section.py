"""The section `search:` of params.yaml, read and refused in sentences.

Covers: what each key may be described by, conditions about other keys of the space, limits. Not covered: what a space
does (`core.search_space`), whether the keys are parameters of this project (`commands.search_problems`).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from assay.core.errors import UsageError
from assay.core.paths import PARAMS
from assay.core.search_space import (
    NUISANCE,
    SCIENTIFIC,
    Condition,
    SearchKey,
    SearchPlan,
    SearchSpace,
    text_of,
    written,
)
from assay.core.short_repr import excerpt

#: how a key may be described, and what each takes
KINDS = {
    "float": "[LOW, HIGH], LOW < HIGH",
    "log": "[LOW, HIGH], 0 < LOW < HIGH",
    "int": "[LOW, HIGH], LOW < HIGH, whole numbers",
    "log_int": "[LOW, HIGH], 1 ≤ LOW < HIGH, whole numbers",
    "choice": "[A, B, …]",
    "fixed": "VALUE",
}
#: what a section may hold beside its space, and from where to where
LIMITS = {"settings": (2, 10_000), "replicates": (2, 100), "seed": (0, 2**53 - 1)}
#: what other tools call what decides: here it is the task's metric
OBJECTIVES = ("objective", "objectives", "metric", "metrics", "direction", "directions")
#: the next step where no single edit is the right one
CHECK = "correct it in params.yaml; assay check says all that is wrong with search:"
#: searched keys at most: what a Sobol sequence of a few hundred points still spreads over
MOST_KEYS = 32


def read(section: Any, where: str = PARAMS) -> SearchPlan:
    """The plan that `search:` describes. Raises UsageError with the offending key and value."""
    found, plan = problems(section, where)
    if plan is None:
        raise found[0]
    return plan


def problems(section: Any, where: str = PARAMS) -> tuple[list[UsageError], SearchPlan | None]:
    """Everything that is wrong with the section, and its plan where nothing is."""
    if not isinstance(section, Mapping) or "space" not in section:
        nothing = UsageError(
            f"{where} has no search: with a space:",
            allowed="search: {space: {lr: {log: [1e-4, 1e-1]}}}",
            hint="add it to params.yaml (docs/searching.md)",
        )
        return [nothing], None
    found = [_unknown(str(key), where) for key in section if key not in ("space", *LIMITS)]
    limits = {name: _limited(section, name, where) for name in LIMITS if name in section}
    found += [one for one in limits.values() if isinstance(one, UsageError)]
    wrong, space = _space(section["space"], where)
    found += wrong
    if found or space is None:
        return found, None
    return [], SearchPlan(space, **{name: one for name, one in limits.items() if isinstance(one, int)})


def _unknown(key: str, where: str) -> UsageError:
    if key in OBJECTIVES:
        return UsageError(
            f"{where}: search.{key} asks for an objective; a search has one, the metric that decides",
            allowed="one metric, metric.name, in the direction that the task gives it",
            hint=f"remove search.{key}; combine several objectives in one metric of the task",
        )
    return UsageError(f"{where}: unknown key search.{key}", allowed=", ".join(("space", *LIMITS)), hint=CHECK)


def _limited(section: Mapping[str, Any], name: str, where: str) -> int | UsageError:
    (low, high), value = LIMITS[name], section[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        allowed = f"a whole number from {low} to {high}"
        return UsageError(f"{where}: search.{name} is {excerpt(value)}", allowed=allowed, hint=CHECK)
    return value


def _space(described: Any, where: str) -> tuple[list[UsageError], SearchSpace | None]:
    if not isinstance(described, Mapping) or not described:
        empty = UsageError(
            f"{where}: search.space is empty", allowed="at least one key: lr: {log: [1e-4, 1e-1]}", hint="add a key"
        )
        return [empty], None
    found, keys = _each({str(key): one for key, one in described.items()}, lambda key, one: _key(key, one, where))
    if found:  # a condition about a key that is wrong is none by itself
        return found, None
    found, keys = _each(keys, lambda _, one: _conditional(one, keys, where))
    if found:
        return found, None
    try:
        return [], _whole(SearchSpace(tuple(_ordered(keys, where))), where)
    except UsageError as error:
        return [error], None


def _each(
    given: Mapping[str, Any], made: Callable[[str, Any], SearchKey]
) -> tuple[list[UsageError], dict[str, SearchKey]]:
    """What `made` makes of each key, and what it raises."""
    found, keys = list[UsageError](), dict[str, SearchKey]()
    for key, one in given.items():
        try:
            keys[key] = made(key, one)
        except UsageError as error:
            found.append(error)
    return found, keys


def _whole(space: SearchSpace, where: str) -> SearchSpace:
    """The space, where there is something to search. Raises UsageError for one point, and for too many keys."""
    if space.count <= 1:
        raise UsageError(
            f"{where}: search.space has one point alone",
            allowed="a key with at least two values",
            hint=f"{_measuring(space)} measures it",
        )
    if len(space.searched) > MOST_KEYS:
        raise UsageError(
            f"{where}: search.space has {len(space.searched)} keys to search",
            allowed=f"up to {MOST_KEYS}",
            hint="assay sensitivity says which of them matter",
        )
    return space


def _measuring(space: SearchSpace) -> str:
    """The command that measures the one point of a space."""
    settings = written(space.setting([0.0] * len(space.searched)))
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(one)}" for one in settings)])


def _key(key: str, described: Any, where: str) -> SearchKey:
    name = f"{where}: search.space.{key}"
    forms = "; ".join(f"{kind}: {form}" for kind, form in KINDS.items())
    if not isinstance(described, Mapping):
        raise UsageError(
            f"{name} is {excerpt(described)}", allowed=f"one of {forms}", hint=f"{key}: {{log: [1e-4, 1e-1]}}"
        )
    kinds = [one for one in described if one in KINDS]
    unknown = [str(one) for one in described if one not in (*KINDS, "role", "when")]
    if unknown or len(kinds) != 1:
        what = f"has {excerpt(unknown[0])}" if unknown else f"has {' and '.join(kinds) or 'no values'}"
        raise UsageError(f"{name} {what}", allowed=f"one of {forms}; beside it role: and when:", hint=CHECK)
    role = described.get("role", NUISANCE)
    if role not in (SCIENTIFIC, NUISANCE) or (kinds[0] == "fixed" and "role" in described):
        raise UsageError(
            f"{name}.role is {excerpt(role)}",
            allowed=f"{SCIENTIFIC} or {NUISANCE}; a key that stays has fixed: VALUE",
            hint=CHECK,
        )
    when = described.get("when")
    condition = None if when is None else _condition(when, name)
    if kinds[0] == "fixed":
        return SearchKey(key, "fixed", value=described["fixed"], when=condition)
    if kinds[0] == "choice":
        return SearchKey(key, "choice", choices=_choices(described["choice"], name), role=role, when=condition)
    low, high = _ends(kinds[0], described[kinds[0]], name)
    return SearchKey(key, kinds[0], low, high, role=role, when=condition)


def _choices(given: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(given, list) or not given or any(isinstance(one, Mapping) for one in given):
        allowed = "a list of values: numbers, words, lists"
        raise UsageError(f"{name}.choice is {excerpt(given)}", allowed=allowed, hint=CHECK)
    for twice in (one for place, one in enumerate(given) if one in given[:place]):
        raise UsageError(f"{name}.choice names {excerpt(twice)} twice", allowed="each value once", hint=CHECK)
    return tuple(given)


def _ends(kind: str, given: Any, name: str) -> tuple[float, float]:
    numbers = isinstance(given, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in given
    )
    whole = not kind.endswith("int") or (numbers and all(int(one) == one for one in given))
    if not numbers or len(given) != 2 or not whole or not given[0] < given[1]:
        mended = _mended(kind, given if numbers and whole else [], name)
        raise UsageError(f"{name}.{kind} is {excerpt(given)}", allowed=f"{kind}: {KINDS[kind]}", hint=mended)
    low, high = given
    if kind.startswith("log") and low <= 0:
        raise UsageError(
            f"{name}.{kind} begins at {low:g}, and no logarithm does",
            allowed=f"{kind}: {KINDS[kind]}",
            hint=f"a small LOW such as {high * 1e-4:.0e}" if high > 0 and kind == "log" else "a larger LOW",
        )
    return low, high


def _mended(kind: str, pair: list[float], name: str) -> str:
    """What to write where two numbers are no range."""
    if len(pair) != 2:
        return CHECK
    key = name.partition(" search.space.")[2]
    if pair[0] == pair[1]:
        return f"{key}: {{fixed: {pair[0]:g}}} keeps it there"
    return f"{key}: {{{kind}: [{pair[1]:g}, {pair[0]:g}]}}"


def _condition(given: Any, name: str) -> Condition:
    key, equals, values = str(given).partition("=")
    listed = tuple(one.strip() for one in values.split(","))
    if not isinstance(given, str) or not equals or not key.strip() or not all(listed):
        allowed = "KEY=VALUE or KEY=VALUE,VALUE: optimizer=sgd"
        raise UsageError(f"{name}.when is {excerpt(given)}", allowed=allowed, hint=CHECK)
    return Condition(key.strip(), listed)


def _conditional(one: SearchKey, keys: Mapping[str, SearchKey], where: str) -> SearchKey:
    """`one` with its condition about a key of the space, and about values as that key has them."""
    if one.when is None:
        return one
    name = f"{where}: search.space.{one.key}.when"
    named = [key for key in keys if key == one.when.key or key.endswith(f".{one.when.key}")]
    if len(named) != 1 or named[0] == one.key:
        others = ", ".join(key for key in keys if key != one.key) or "another key"
        raise UsageError(f"{name} names {one.when.key}, no other key of the space", allowed=others, hint=CHECK)
    other = keys[named[0]]
    known = {text_of(value): value for value in (other.choices if other.kind == "choice" else (other.value,))}
    strange = [text for text in one.when.values if text not in known]
    if other.kind not in ("choice", "fixed") or strange:
        what = f"{other.key} never is {strange[0]}" if strange else f"{other.key} is no choice"
        raise UsageError(
            f"{name} is {one.when}, and {what}: {one.key} would never be used", allowed=", ".join(known), hint=CHECK
        )
    when = Condition(other.key, tuple(known[text] for text in one.when.values))
    return replace(one, when=when)


def _ordered(keys: Mapping[str, SearchKey], where: str) -> list[SearchKey]:
    """Each key after the one that it depends on; raises UsageError for a circle."""
    found: list[SearchKey] = []
    left = list(keys.values())
    while left:
        ready = [one for one in left if one.when is None or any(one.when.key == each.key for each in found)]
        if not ready:
            raise UsageError(
                f"{where}: {' and '.join(one.key for one in left)} each wait for the other (when:)",
                allowed="conditions without a circle",
                hint=CHECK,
            )
        found += ready
        left = [one for one in left if one not in ready]
    return found
