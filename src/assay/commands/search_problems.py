"""What a strategy does not take of a search space, key by key, before anything trains: for `assay search` and `check`.

Covers: keys that are no parameters or that nothing reads, values that no run takes, alone or beside a choice. Not
covered: the section by itself (`core.search_section`), HEAD's place in the space (`commands.search_setup`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from assay.commands import experiment_grid
from assay.core import params_yaml, script_command, search_section
from assay.core.errors import UsageError
from assay.core.json_encoding import json_form
from assay.core.params_yaml import Params, Train
from assay.core.paths import PARAMS, ProjectPaths
from assay.core.search_space import SearchKey, SearchPlan, SearchSpace, Setting, applies, same, written
from assay.runtime import dvc_yaml

#: rules that keep a momentum
_WITH_MOMENTUM = ("sgd", "rmsprop")


def problems(layout: ProjectPaths, content: bytes, plan: SearchPlan) -> Iterator[UsageError]:
    """Everything in the space of `plan` that the strategy of `content`, a params.yaml, does not take.

    Raises UsageError where `content` cannot be read.
    """
    asked, raw = params_yaml.resolved(content), params_yaml.read(content)
    known, sound = parameters(asked), list[SearchKey]()
    held = {key for key, _ in params_yaml.leaves(raw)}
    for one in plan.space.keys:
        if one.key not in known and one.key in held:
            yield _shared(one.key, asked.is_script)
            continue
        found = list(_of_key(layout, one, known, asked, plan)) or list(_of_values(raw, one, plan.space))
        yield from found[:1]
        sound += [] if found else [one]
    yield from _of_pairs(raw, sound, plan.space)


def of_section(layout: ProjectPaths, section: Any) -> Iterator[UsageError]:
    """Everything that `assay search` would refuse of `search:` in the work tree, around HEAD."""
    found, plan = search_section.problems(section)
    yield from found
    content = dvc_yaml.parameters_at(layout.root, "HEAD")
    if plan is not None and content is not None:
        yield from problems(layout, content, plan)


def parameters(asked: Params) -> dict[str, Any]:
    """Dotted key → value of what a strategy trains with, options of the recipe at their defaults included."""
    if asked.is_script:
        return dict(params_yaml.leaves(json_form(asked.own)))
    options = {f"train.{name}": getattr(asked.train, name) for name in Train.__struct_fields__}
    given = {key: value for key, value in params_yaml.strategy(asked).items() if key in params_yaml.OVERLAID}
    plain: dict[str, Any] = json_form({key: value for key, value in options.items() if _is_plain(value)})
    return {**plain, **dict(params_yaml.leaves(given))}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _shared(key: str, script: bool) -> UsageError:
    """A parameter that HEAD has, and that all settings of a search must have in common."""
    return UsageError(
        f"search.space.{key}: {key} says how each setting is measured, and is the same for all of them",
        allowed="the script's own parameters" if script else f"keys under {', '.join(params_yaml.OVERLAID)}",
        hint=f"leave {key} out of search.space, and set it in params.yaml",
    )


def _of_key(
    layout: ProjectPaths, one: SearchKey, known: Mapping[str, Any], asked: Params, plan: SearchPlan
) -> Iterator[UsageError]:
    """What is wrong with a key, whatever its values are."""
    if one.key not in known:
        near = difflib.get_close_matches(one.key, known, 1)
        yield UsageError(
            f"search.space.{one.key} is no parameter of HEAD",
            allowed="parameters that params.yaml of HEAD has: " + ", ".join(known),
            hint=f"did you mean {near[0]!r}?" if near else f"add {one.key} to params.yaml and commit it",
        )
        return
    if asked.is_script:
        if one.key not in script_command.placeholders(asked.task.command) and PARAMS not in asked.task.files:
            yield UsageError(
                f"search.space.{one.key} is not read: task.command has no {{{one.key}}}",
                allowed="parameters that task.command names",
                hint=f"write {{{one.key}}} into task.command, or {PARAMS} under task.files where the script reads it",
            )
    elif one.key == "train.momentum":
        strange = [str(name) for name in _possible("train.optimizer", known, one, plan) if name not in _WITH_MOMENTUM]
        if strange:
            yield UsageError(
                f"search.space.train.momentum is not read by {strange[0]}",
                allowed=f"with {' or '.join(_WITH_MOMENTUM)} alone",
                hint="add when: train.optimizer=sgd, or leave it out",
            )
    try:
        experiment_grid.check_settings(layout, [f"{one.key}="])
        experiment_grid.check_profile(asked, [f"{one.key}="])
    except UsageError as error:
        yield error


def _possible(key: str, known: Mapping[str, Any], one: SearchKey, plan: SearchPlan) -> list[Any]:
    """Values that `key` can have where a setting has the key `one`."""
    if one.when is not None and one.when.key == key:
        return list(one.when.values)
    other = next((each for each in plan.space.keys if each.key == key), None)
    if other is None:
        return [known.get(key)]
    return list(other.choices) if other.kind == "choice" else [other.value]


def _of_values(raw: dict[str, Any], one: SearchKey, space: SearchSpace) -> Iterator[UsageError]:
    """Ends of a range and every choice: what no run takes, neither over HEAD nor amid the space."""
    for value in _ends(one):
        alone = {**_condition(one), one.key: value}
        error = _refusal(raw, alone, _amid(space, alone))
        if error is not None:
            yield UsageError(
                f"search.space.{one.key}: no run takes {_text({one.key: value})}: {error.problem}",
                allowed=error.allowed,
                hint="narrow the space in params.yaml",
            )


def _of_pairs(raw: dict[str, Any], keys: list[SearchKey], space: SearchSpace) -> Iterator[UsageError]:
    """Values that run by themselves, and never beside some choice of another key: they would count as failures."""
    reported = set[frozenset[str]]()
    for one in keys:
        for other in (each for each in keys if each.kind == "choice" and each.key != one.key):
            pair = frozenset((one.key, other.key))
            errors = {} if pair in reported else _beside(raw, one, other, space)
            if not errors:
                continue
            reported.add(pair)
            refused, (value, error) = next(iter(errors.items()))
            fine = [choice for choice in other.choices if same({other.key: choice}) not in errors]
            listed = ",".join(_text({other.key: choice}).partition("=")[2] for choice in fine)
            yield UsageError(
                f"search.space.{one.key}: no run takes {_text({one.key: value})} with "
                f"{_text({other.key: _choice(other, refused)})}: {error.problem}",
                allowed=f"{one.key} where it is read",
                hint=f"add when: {other.key}={listed} to it" if fine else "leave it out of the space",
            )


def _beside(
    raw: dict[str, Any], one: SearchKey, other: SearchKey, space: SearchSpace
) -> dict[str, tuple[Any, UsageError]]:
    """Choice of `other`, as a text → the value of `one` that no run takes beside it, and why."""
    found: dict[str, tuple[Any, UsageError]] = {}
    for choice in other.choices:
        for value in _ends(one):
            both = {**_condition(one), **_condition(other), one.key: value, other.key: choice}
            whole = _amid(space, both)
            error = None if whole is None else _refusal(raw, both, whole)
            if error is not None:
                found.setdefault(same({other.key: choice}), (value, error))
    return found


def _choice(other: SearchKey, text: str) -> Any:
    return next(choice for choice in other.choices if same({other.key: choice}) == text)


def _ends(one: SearchKey) -> tuple[Any, ...]:
    if one.kind == "fixed":
        return (one.value,)
    kind = int if one.kind.endswith("int") else float
    return one.choices or (kind(one.low), kind(one.high))


def _condition(one: SearchKey) -> Setting:
    return {} if one.when is None else {one.when.key: one.when.values[0]}


def _amid(space: SearchSpace, forced: Setting) -> Setting | None:
    """A setting of the space with these values, the others in their middle; None where no setting has them."""
    found: Setting = {}
    for one in space.keys:
        if applies(one, found):
            middle = one.value if one.kind == "fixed" else one.at(0.5)
            found[one.key] = forced.get(one.key, middle)
    return found if all(key in found for key in forced) else None


def _refusal(raw: dict[str, Any], *settings: Setting | None) -> UsageError | None:
    """Why none of these settings runs, None left out; None where one of them does."""
    first = None
    for setting in (one for one in settings if one is not None):
        try:
            params_yaml.changed_values(raw, setting)
        except UsageError as error:
            first = first or error
        else:
            return None
    return first


def _text(setting: Setting) -> str:
    return " ".join(written(setting))
