"""From what a task's `prepare()` returns to canonical examples, or an error that names the first bad one.

Covers: shapes, kinds, NaN and Inf, empty sets, single classes, labels out of range, stable ids. Nothing
is dropped or repaired: whether a bad example goes is for a person to decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.json_encoding import json_form
from assay.data import content_hash, example_notes, named_targets, prepared_sources
from assay.data.named_targets import TargetPart
from assay.data.storage import Examples, input_keys
from assay.runtime import example_ids

KEYS = ("inputs", "targets", "classes", "groups", "decode", *example_notes.KEYS)


def canonical(raw: object, where: str, folder: Path | None = None) -> Examples:
    """Check what `prepare()` returned and give every example an id. `where` names the file in errors.

    Inputs that are no array are written into `folder` at once, and mapped.
    """
    raw = prepared_sources.plain(raw, where, folder)
    if not isinstance(raw, Mapping) or not {"inputs", "targets"} <= set(raw) <= set(KEYS):
        found = ", ".join(map(str, raw)) if isinstance(raw, Mapping) else type(raw).__name__
        raise UsageError(
            f"{where}: prepare() returned {found}", allowed=f"a dict with {', '.join(KEYS)} (the first two required)"
        )
    stored = hasattr(raw["inputs"], "form")
    inputs = raw["inputs"] if stored else _numeric(raw["inputs"], "inputs", where)
    targets, several = _targets(raw["targets"], where)
    if len(inputs) == 0:
        raise UsageError(f"{where}: prepare() returned no examples", allowed="at least one example in each part")
    if len(inputs) != len(targets):
        raise UsageError(f"{where}: {len(inputs)} inputs but {len(targets)} targets", allowed="as many of each")
    if not stored:
        _finite(inputs, "input", where)
    _finite(targets, "target", where)
    extra = [name for name in ("classes", "second_labels") if raw.get(name) is not None]
    if several is not None and extra:
        raise UsageError(f"{where}: {extra[0]} are given, and targets are a dict", allowed="classes of one target")
    classes = _classes(raw.get("classes"), targets, where)
    groups = _groups(raw.get("groups"), len(inputs), where)
    examples = Examples(
        np.empty(0, dtype=np.str_),
        inputs,
        targets.astype(np.int64) if classes else targets,
        groups,
        classes,
        several=several,
        notes=example_notes.notes(raw, targets, classes, where),
        kind=example_notes.kind(raw, where),
    )
    keys = content_hash.combined_keys(input_keys(examples), content_hash.row_keys(targets))
    return replace(examples, ids=example_ids.from_keys(keys), decode=_decode(raw.get("decode"), where))


def _decode(given: Any, where: str) -> dict[str, Any] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise UsageError(f"{where}: decode is {given!r:.80}", allowed="a dict of keyword arguments of decode()")
    return {name: json_form(value) for name, value in given.items()}


def _unmasked(values: Any, name: str, where: str) -> None:
    """Refuse what is masked: NumPy drops the mask where it makes a plain array, and what was hidden counts."""
    rows = [np.ma.is_masked(row) for row in values] if isinstance(values, np.ma.MaskedArray | list | tuple) else []
    if any(rows):
        raise UsageError(
            f"{where}: the {name} of example {rows.index(True)} is masked",
            allowed="arrays without masked entries",
            hint="fill or drop such examples in prepare(), where it can be seen",
        )


def _numeric(values: Any, name: str, where: str) -> NDArray[np.generic]:
    _unmasked(values, name.removesuffix("s"), where)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UsageError(
            f"{where}: {name} have different shapes ({error})", allowed="one array, a row an example"
        ) from error
    if array.ndim == 0 or array.dtype.kind not in "buif":
        raise UsageError(
            f"{where}: {name} are {array.dtype} of shape {array.shape}", allowed="an array of numbers, a row an example"
        )
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _targets(values: Any, where: str) -> tuple[NDArray[np.generic], tuple[TargetPart, ...] | None]:
    """One array of targets, and how several of them lie in it."""
    if not isinstance(values, Mapping):
        return _numeric(values, "targets", where), None
    named = {str(name): _numeric(array, f"targets[{name!r}]", where) for name, array in values.items()}
    lengths = {name: len(array) for name, array in named.items()}
    if len(set(lengths.values())) != 1:
        raise UsageError(
            f"{where}: targets have the lengths {lengths}", allowed="at least one, a row an example in each"
        )
    return named_targets.packed(named, where)


def _finite(array: NDArray[np.generic], name: str, where: str) -> None:
    if array.dtype.kind != "f":
        return
    pieces = content_hash.pieces(len(array), content_hash.row_bytes(array))
    fine = [np.isfinite(array[piece]).reshape(piece.stop - piece.start, -1).all(axis=1) for piece in pieces]
    bad = np.flatnonzero(~np.concatenate(fine))
    if len(bad):
        row = array[bad[0]].reshape(-1)
        value = row[~np.isfinite(row)][0]
        raise UsageError(
            f"{where}: the {name} of example {bad[0]} contains {value} ({len(bad)} such of {len(array)})",
            allowed="finite numbers",
            hint="correct or drop such examples in prepare(), where it can be seen",
        )


def _classes(names: Any, targets: NDArray[np.generic], where: str) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence) or len(set(map(str, names))) != len(names):
        raise UsageError(f"{where}: classes are {names!r}", allowed="a list of different names")
    if targets.dtype.kind not in "ui":
        raise UsageError(
            f"{where}: targets are {targets.dtype} of shape {targets.shape}",
            allowed="whole numbers, as classes are given: (N,), or (N, …) for sequences and masks",
        )
    several = targets.ndim > 1
    rows = targets.reshape(len(targets), -1).astype(np.int64)
    wrong = (rows < (-1 if several else 0)) | (rows >= len(names))
    bad = np.flatnonzero(wrong.any(axis=1))
    if len(bad):
        raise UsageError(
            f"{where}: the label of example {bad[0]} is {rows[bad[0]][wrong[bad[0]]][0]} "
            f"({len(bad)} such of {len(targets)})",
            allowed=f"0 to {len(names) - 1}, as classes has {len(names)} names"
            + (", and -1 for padding" if several else ""),
        )
    if len(found := np.unique(rows[rows >= 0])) < 2:
        raise UsageError(
            f"{where}: all {len(targets)} examples have the label {found[0] if len(found) else -1}",
            allowed="two classes or more",
        )
    return tuple(map(str, names))


def _groups(values: Any, count: int, where: str) -> NDArray[np.str_] | None:
    if values is None:
        return None
    _unmasked(values, "group", where)
    groups = np.asarray([str(value) for value in values], dtype=np.str_)
    if len(groups) != count:
        raise UsageError(f"{where}: {count} inputs but {len(groups)} groups", allowed="a group for each example")
    return groups
