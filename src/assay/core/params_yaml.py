"""params.yaml: typed, validated as a whole by every stage, read as DVC reads it.

Covers: unknown, missing, mistyped and out-of-range values in one sentence each, profiles as overlays.
Not covered: the keyword arguments of a task's own functions, which only the task's source knows
(`runtime.task_source`).
"""

from __future__ import annotations

import datetime
import difflib
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, reduce
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from assay.core import (
    loss_section,
    machine_blocks,
    references_section,
    script_section,
    task_section,
    train_section,
    variation,
)
from assay.core.errors import UsageError
from assay.core.json_encoding import json_form
from assay.core.judge_section import Judge as Judge
from assay.core.loss_section import LossSection
from assay.core.machine_section import Machine as Machine
from assay.core.normalize_identifiers import as_python_reads
from assay.core.params_section import Section as Section
from assay.core.paths import PARAMS
from assay.core.short_repr import excerpt, excerpt_of_name
from assay.core.task_section import TaskSection as TaskSection
from assay.core.train_section import Count, NotNegative, Share
from assay.core.train_section import Train as Train
from assay.core.yaml12 import parse

#: replicates that a group has at most: numbers of different draws lie this far apart
SPAN = 10_000


class Split(Section, frozen=True, kw_only=True):
    validation: Share = 0.2  # share of the examples that verdicts are about; the rest trains
    test: Share = 0.1  # share of the examples that stays sealed until `assay accept` opens it
    # left out of a strategy's identity where they are not set: the first releases knew none of them
    #: what decides an example's part: its content, its place, or its time
    by: Literal["content", "order", "time"] | UnsetType = UNSET
    #: left out before each border: so many rows, or by time so much time (seconds for dates)
    gap: NotNegative | UnsetType = UNSET
    blocks: Count | UnsetType = UNSET  # with `by: order`: as many blocks of rows, drawn whole


class MetricSection(Section, frozen=True, kw_only=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    options: dict[str, Any] = {}
    min_effect: NotNegative | None = None  # smallest difference that matters, in place of the one in METRICS


class Params(Section, frozen=True, kw_only=True):
    """All of params.yaml. Meanings and units stand beside the values in the file itself."""

    lr: Annotated[float, Meta(gt=0)]
    replicates: Annotated[int, Meta(ge=1, le=SPAN)]
    seed: Annotated[int, Meta(ge=0, lt=2**53)]
    profile: str = "full"
    baseline: str = "floor"
    #: what differs between replicates: some of init, order, augment, dropout, split; the rest is drawn once for all
    vary: list[str] = msgspec.field(default_factory=lambda: list(variation.KINDS))
    task: TaskSection = TaskSection()
    data: dict[str, Any] = {}
    split: Split = Split()
    model: dict[str, Any] = {}
    train: Train = Train()
    loss: LossSection = LossSection()
    metric: MetricSection
    judge: Judge = Judge()
    machine: Machine = Machine()
    profiles: dict[str, dict[str, Any]] = msgspec.field(default_factory=lambda: {"full": {}})
    modes: dict[str, dict[str, Any]] = {}
    search: Any = None  # the space of `assay search`, which alone reads it (`core.search_section`); of no identity
    own: dict[str, Any] = {}  # parameters of a script: no key of the file, but all of its keys that are not Assay's

    @property
    def is_script(self) -> bool:
        """Whether the task is a command, and not modules of its own."""
        return bool(self.task.command)


#: top-level names of params.yaml that are ours; another is the user's own where a stage of his declares it
KEYS = frozenset(field.name for field in msgspec.structs.fields(Params)) - {script_section.OWN}
#: sections and keys that make a strategy what it is; the rest says how much, where and against what
STRATEGY = ("lr", "data", "split", "model", "train", "loss")
#: what an overlay may change
OVERLAID = ("lr", "model", "train", "loss")
#: profiles and modes together: each is checked against all of the file
OVERLAYS = 100
#: the mode that every params.yaml has: its parameters as they stand
DEFAULT_MODE = "default"


def load(content: bytes | str, where: str = PARAMS) -> Params:
    """All parameters, validated, profiles included. Raises UsageError with the offending key and value."""
    return _checked(_read(content, where), where)


def _read(content: bytes | str, where: str) -> dict[str, Any]:
    return as_python_reads(parse(content, where), where)


def _checked(raw: dict[str, Any], where: str) -> Params:
    checked = _convert(raw, where)
    if len(checked.profiles) + len(checked.modes) > OVERLAYS:
        problem = f"{where} has {len(checked.profiles)} profiles and {len(checked.modes)} modes"
        raise UsageError(problem, allowed=f"up to {OVERLAYS} together", hint="remove some in params.yaml")
    for name, overlay in checked.profiles.items():
        _overlaid(raw, overlay, f"profiles.{name}", where)
    for name, overlay in checked.modes.items():
        if name == DEFAULT_MODE:
            raise UsageError(
                f"{where}: modes.{DEFAULT_MODE} is taken", allowed="any other name", hint="rename it in params.yaml"
            )
        _overlaid(raw, overlay, f"modes.{name}", where)
    if checked.profile not in checked.profiles:
        raise UsageError(
            f"{where}: profile is {checked.profile!r}",
            allowed=", ".join(sorted(checked.profiles)),
            hint="set profile, or add it under profiles:",
        )
    if checked.split.validation + checked.split.test >= 1:
        raise UsageError(
            f"{where}: split.validation + split.test is {checked.split.validation + checked.split.test:g}",
            allowed="less than 1, so that something is left to train on",
            hint="lower one of them in params.yaml",
        )
    return checked


def resolved(content: bytes | str, profile: str | None = None, where: str = PARAMS, mode: str = DEFAULT_MODE) -> Params:
    """Parameters with the overlays of `profile` (default: the file's own) and of `mode` laid over them."""
    return _resolved(_read(content, where), profile, where, mode)


def read(content: bytes | str, where: str = PARAMS) -> dict[str, Any]:
    """The file as Python values, as DVC reads them, not validated."""
    return _read(content, where)


def resolved_values(raw: dict[str, Any], where: str = PARAMS, profile: str | None = None) -> Params:
    """`resolved` of what `read` gave."""
    return _resolved(raw, profile, where)


def _resolved(raw: dict[str, Any], profile: str | None, where: str, mode: str = DEFAULT_MODE) -> Params:
    checked = _checked(raw, where)
    name = checked.profile if profile is None else profile
    if name not in checked.profiles:
        raise UsageError(f"{where} has no profile {name!r}", allowed=", ".join(sorted(checked.profiles)))
    if mode not in modes(checked):
        raise UsageError(f"{where} has no mode {mode!r}", allowed=", ".join(modes(checked)))
    overlay = merged(checked.profiles[name], checked.modes.get(mode, {}))
    found = _overlaid(raw, overlay, f"profile {name}, mode {mode}", where) if overlay else checked
    return msgspec.structs.replace(found, profile=name)


def changed(content: bytes | str, settings: Mapping[str, Any], profile: str | None = None) -> Params:
    """`resolved`, after `settings` (dotted key → value) were written into the file, as `dvc exp run -S` does."""
    return changed_values(_read(content, PARAMS), settings, profile)


def changed_values(raw: dict[str, Any], settings: Mapping[str, Any], profile: str | None = None) -> Params:
    """`changed` of what `read` gave."""
    for key, value in settings.items():
        nested = reduce(lambda below, part: {part: below}, reversed(key.split(".")), value)
        raw = merged(raw, as_python_reads(nested, PARAMS))
    return _resolved(raw, profile, PARAMS)


def alike(params: Params) -> Params:
    """What settings must agree in to train together: all but step size, weight decay, clipping, and how much momentum.

    Without momentum a rule keeps nothing of earlier steps; with any it does.
    """
    momentum = 0.5 if params.train.momentum else 0.0
    train = msgspec.structs.replace(params.train, weight_decay=0.0, clip=0.0, momentum=momentum)
    return msgspec.structs.replace(params, lr=1.0, train=train)


def modes(params: Params) -> tuple[str, ...]:
    """Names of all modes: the parameters as they stand, then those of the section `modes`."""
    return (DEFAULT_MODE, *params.modes)


def strategy(params: Params) -> dict[str, Any]:
    """The resolved parameters that belong to a strategy's identity, in JSON's kinds alone."""
    form: dict[str, Any] = json_form(as_given(params))
    return form


def as_given(params: Params) -> dict[str, Any]:
    """The parameters of a strategy as they were written, dates and keys of numbers included: for a task's own code."""
    plain = msgspec.to_builtins(params, builtin_types=(datetime.date, datetime.datetime))
    if params.is_script:
        return {**plain[script_section.OWN], "task": params.task.name, "task.command": params.task.command}
    plain["train"] = train_section.written(plain["train"])
    named = [name for name in STRATEGY if name != "loss" or params.loss.name]  # it came after the first releases
    return {name: plain[name] for name in named} | {"task": plain["task"]["name"]}


def lines(params: Params) -> list[str]:
    """The same, one `name: value` a leaf, values as JSON."""
    return [f"{key}: {msgspec.json.encode(value).decode()}" for key, value in leaves(strategy(params))]


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters by dotted name. A list is one parameter; an empty section is none."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _overlaid(raw: dict[str, Any], overlay: Mapping[str, Any], name: str, where: str) -> Params:
    """`raw` with the overlay called `name` laid over it. A key that nobody knows is refused as one of the file."""
    ours = script_section.RESERVED if script_section.is_script(raw) else _fields("")
    fixed = [key for key in overlay if key not in OVERLAID and key in ours]
    if fixed:
        allowed = ", ".join(OVERLAID)
        raise UsageError(f"{where}: {name} changes {fixed[0]!r}", allowed=allowed, hint="remove it in params.yaml")
    return _convert(merged(raw, overlay), f"{where} ({name})")


def merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overlay` laid over it, mapping by mapping."""
    result = dict(base)
    for key, value in overlay.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _convert(raw: dict[str, Any], where: str) -> Params:
    _refuse_nonfinite(raw, where, "")
    if script_section.OWN in raw and not script_section.is_script(raw):
        raise _unknown(script_section.OWN, "", where)
    given = script_section.typed(raw, where) if script_section.is_script(raw) else raw
    try:
        found = msgspec.convert(given, Params)
    except msgspec.ValidationError as error:
        raise _sentence(given, error, where) from error
    variation.check(found.vary, where)
    test = variation.judging_test(found.vary, found.judge.test, found.machine.execution, where)
    found = msgspec.structs.replace(found, judge=msgspec.structs.replace(found.judge, test=test))
    if found.judge.blocks is not None:
        machine_blocks.refuse_script(where, is_script=found.is_script)
        classes = sorted(found.machine.classes)
        machine_blocks.check(classes, found.replicates, found.judge.test, found.vary, where)
    task_section.check(found.task, dict(leaves(found.own)), where)
    train_section.check(found.train, found.lr, where)
    references_section.parsed(found.judge.references, where)
    loss_section.check(found.loss, where, mixes=bool(found.train.mixup or found.train.cutmix))
    return found


def _refuse_nonfinite(value: Any, where: str, path: str) -> None:
    if isinstance(value, Mapping):
        for key, below in value.items():
            _refuse_nonfinite(below, where, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            _refuse_nonfinite(below, where, f"{path}[{number}]")
    elif isinstance(value, float) and not math.isfinite(value):
        named = excerpt_of_name(path)
        raise UsageError(f"{where}: {named} is {value}", allowed="a finite number", hint=_set(named))


def _sentence(raw: dict[str, Any], error: msgspec.ValidationError, where: str) -> UsageError:
    placed = re.fullmatch(r"(.*) - at (`key` in )?`\$([^`]*)`", str(error), re.DOTALL)
    said, of_key, path = (placed[1], placed[2], placed[3].lstrip(".")) if placed else (str(error), None, "")
    if of_key:
        return UsageError(f"{where}: {path or 'the file'} has a key that is no text", hint="write the key in quotes")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", said, re.DOTALL)
    if unknown:
        return _unknown(unknown[1], path, where)
    missing = re.fullmatch(r"Object missing required field `(.*)`", said)
    if missing:
        return UsageError(f"{where} lacks {f'{path}.' if path else ''}{missing[1]}", hint="add it, as in the README")
    value: Any = raw
    for key in re.findall(r"[^.\[\]]+", path):
        value = value[int(key)] if isinstance(value, list) else value.get(key) if isinstance(value, Mapping) else value
    return UsageError(
        f"{where}: {path or 'the file'} is {excerpt(value)}", allowed=_allowed(said, path), hint=_set(path)
    )


def _set(path: str) -> str:
    """A failed `dvc exp run -S` leaves its value in the file, where the next run would find it again."""
    return f"set {path or 'its parameters'} in params.yaml"


def _unknown(key: str, path: str, where: str) -> UsageError:
    known = _fields(path)
    near = difflib.get_close_matches(key, known, 1)
    full = f"{path}.{key}" if path else key
    return UsageError(
        f"{where}: unknown parameter {excerpt(full)}",
        allowed=", ".join(known),
        hint=f"did you mean {near[0]!r}?" if near else "remove it, or read it in your task under model: or data:",
    )


_KINDS = {"float": "a number", "int": "a whole number", "str": "text", "bool": "true or false", "object": "a mapping"}


def _allowed(said: str, path: str) -> str:
    """What msgspec expected, in words: "Expected `int` >= 1" becomes "a whole number >= 1"."""
    if path == "machine.devices":
        return "all, or a list of numbers such as [0, 1]"
    if "enum value" in said:
        section, _, key = path.rpartition(".")
        kind = get_type_hints(_struct(section))[key]
        kinds = [kind, *get_args(kind)] if get_origin(kind) is not Literal else [kind]
        return ", ".join(str(one) for each in kinds if get_origin(each) is Literal for one in get_args(each))
    if "matching regex" in said:
        return "auto, cpu, cuda, cuda:0, cuda:1, …" if path.endswith("device") else "a name of letters, digits and _"
    expected = said.removeprefix("Expected ").split(", got")[0]
    for kind, word in _KINDS.items():
        expected = expected.replace(f"`{kind}`", word)
    return expected.replace(".0", "").replace("`", "").replace("array", "a list").replace(" | ", " or ")


@lru_cache(maxsize=64)
def _fields(path: str) -> tuple[str, ...]:
    """Names of a section's keys; asked of every overlay, and slow to find out."""
    return tuple(field.name for field in msgspec.structs.fields(_struct(path)) if field.name != script_section.OWN)


def _struct(path: str) -> type[Section]:
    kind: Any = Params
    for key in filter(None, path.replace("[...]", "").split(".")):
        found = {field.name: field.type for field in msgspec.structs.fields(kind)}.get(key, Params)
        kind = next((one for one in get_args(found) if isinstance(one, type) and issubclass(one, Section)), found)
    return kind if isinstance(kind, type) and issubclass(kind, Section) else Params
