"""What prepare() may say beside inputs and targets: slices, a second person's labels, an order in time.

It judges and splits, and trains nothing: no content hash covers it, so that a slice that gets another name measures
nothing again. Covers: checking, one array each. Not covered: what is made of them (`data.contiguous_split`,
`metrics.slice_scores`, `baseline.trivial_baselines`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError

SLICES, SECOND, ORDER, KIND = "slices", "second_labels", "order", "kind"
KEYS = (SLICES, SECOND, ORDER, KIND)
#: names of arrays among the files of a part
ARRAYS = (SLICES, SECOND, ORDER)
KINDS = ("tokens", "series")
#: Holm's correction over more slices than these would find nothing
MOST_SLICES = 50

Array = NDArray[Any]


def notes(raw: Mapping[str, Any], targets: Array, classes: Sequence[str] | None, where: str) -> dict[str, Array]:
    """Name → array (N, …) of what `raw` has beside its examples. `where` names the file in errors."""
    found: dict[str, Array] = {}
    if raw.get(SLICES) is not None:
        found[SLICES] = _slices(raw[SLICES], len(targets), where)
    if raw.get(SECOND) is not None:
        found[SECOND] = _second_labels(raw[SECOND], targets, classes, where)
    if raw.get(ORDER) is not None:
        found[ORDER] = _order(raw[ORDER], len(targets), where)
    return found


def kind(raw: Mapping[str, Any], where: str) -> str:
    """What the inputs are, where prepare() says it: tokens or series, else ""."""
    found = raw.get(KIND)
    if found is not None and found not in KINDS:
        raise UsageError(f"{where}: kind is {found!r}", allowed=f"{', '.join(KINDS)}, or left out")
    return found or ""


def _slices(values: Any, count: int, where: str) -> Array:
    """(N, K) names of the slices that each example is in, padded with ""."""
    if isinstance(values, Mapping):
        columns = [[f"{name}={each}" for each in column] for name, column in values.items()]
        uneven = [name for name, column in zip(values, columns, strict=True) if len(column) != count]
        if uneven:
            raise UsageError(f"{where}: slices[{uneven[0]!r}] does not name {count} examples", allowed="one an example")
        rows: list[list[str]] = [list(row) for row in zip(*columns, strict=True)]
    else:
        rows = [_names(each) for each in _listed(values, SLICES, where)]
    if len(rows) != count:
        raise UsageError(f"{where}: {count} inputs but {len(rows)} slices", allowed="a name, or several, an example")
    names = sorted({name for row in rows for name in row})
    strange = [name for name in names if not name.isprintable() or len(name) > 60]
    if strange:
        raise UsageError(f"{where}: slices has the name {strange[0]!r:.80}", allowed="up to 60 printable characters")
    if len(names) > MOST_SLICES:
        raise UsageError(
            f"{where}: there are {len(names)} slices, {names[0]!r} and others",
            allowed=f"at most {MOST_SLICES}: a loss in one of so many could not be told from luck",
        )
    width = max((len(row) for row in rows), default=1)
    return np.array([row + [""] * (max(1, width) - len(row)) for row in rows], dtype=np.str_)


def _listed(values: Any, name: str, where: str) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise UsageError(f"{where}: {name} is {type(values).__name__}", allowed="a list, an entry an example")
    return list(values)


def _names(entry: Any) -> list[str]:
    """None and "" are in no slice."""
    listed = [entry] if isinstance(entry, str) or not isinstance(entry, Iterable) else list(entry)
    return sorted({str(name) for name in listed if name is not None and str(name)})


def _second_labels(values: Any, targets: Array, classes: Sequence[str] | None, where: str) -> Array:
    """What a second person said of each example, as the targets are written."""
    array = np.asarray(values)
    if array.shape != targets.shape or array.dtype.kind not in "iuf":
        raise UsageError(
            f"{where}: second_labels are {array.dtype} of shape {array.shape}",
            allowed=f"numbers in the targets' shape {targets.shape}",
        )
    if classes is None:
        bad = ~np.isfinite(array)
    else:
        wrong = (array != np.floor(array)) | (array < 0) | (array >= len(classes))
        bad = wrong & (targets >= 0)  # padding has no label
    if bad.any():
        row = int(np.flatnonzero(bad.reshape(len(array), -1).any(axis=1))[0])
        rows = int(bad.reshape(len(array), -1).any(axis=1).sum())
        raise UsageError(
            f"{where}: example {row} has no second label that counts ({rows} such of {len(array)})",
            allowed="one for every example: a person judged on some of them is no floor for all",
            hint="leave second_labels out, and write the person's score as judge.human in params.yaml",
        )
    return array.astype(np.float64 if classes is None else np.int64)


def _order(values: Any, count: int, where: str) -> Array:
    """(N,) where each example stands in time; dates become seconds."""
    given = np.asarray(values)
    array = _seconds(given, where) if given.dtype.kind in "OM" else given
    if array.shape != (count,) or array.dtype.kind not in "iuf":
        raise UsageError(
            f"{where}: order is {array.dtype} of shape {array.shape}",
            allowed=f"{count} numbers or dates, one an example",
        )
    found: Array = array.astype(np.float64)
    missing = np.flatnonzero(~np.isfinite(found))
    if len(missing):
        raise UsageError(f"{where}: order of example {missing[0]} is missing ({len(missing)} such of {count})")
    return found


def _seconds(dates: Array, where: str) -> Array:
    """Seconds since 1970, NaN for a date that is missing."""
    try:
        exact = dates.astype("datetime64[us]")
    except (TypeError, ValueError) as error:
        problem = f"{where}: order holds {dates.dtype}"
        raise UsageError(problem, allowed="numbers or dates, one an example") from error
    return np.where(np.isnat(exact), np.nan, exact.astype(np.int64) / 1e6)
