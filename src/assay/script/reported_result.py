"""The number that a script reports: one number at one key of one JSON file.

Covers: reading it, and refusing what is no number, or more than one. NaN is what a script says of a training that
diverged; infinity is taken for the same. Not covered: whether the number is true.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.core.errors import UsageError
from assay.core.short_repr import excerpt

#: bytes of a file of results that are read at most
_LARGEST = 64 * 2**20


class _Repeated(ValueError):
    """A key that stands twice in one object: two numbers, and nobody can say which is meant."""


def read(path: Path, key: str, who: str) -> float:
    """The number at the dotted `key` in the file at `path`; NaN where the script says so.

    Raises UsageError, which begins with `who`, where there is none, or more than one.
    """
    values = list(_found(_parsed(path, who), key.split("."), ""))
    if not values:
        raise UsageError(f"{who} prints no number: {path.name} has no {key}", hint="set task.result.key in params.yaml")
    if len(values) > 1:
        raise UsageError(f"{who} prints two numbers: {path.name} has {key} in {len(values)} places", allowed="one")
    return _number(values[0], f"{who}: {key} in {path.name}")


def _parsed(path: Path, who: str) -> Any:
    if not path.is_file():
        raise UsageError(
            f"{who} prints no number: it wrote no {path.name}",
            hint="set task.result.file in params.yaml to the file that it writes, such as {out}/metrics.json",
        )
    if path.stat().st_size > _LARGEST:
        raise UsageError(f"{who}: {path.name} has {path.stat().st_size:,} bytes", allowed=f"up to {_LARGEST:,}")
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_unique)
    except _Repeated as error:
        raise UsageError(f"{who} prints two numbers: {path.name} has the key {error} twice", allowed="one") from error
    except (ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())[:100]
        raise UsageError(
            f"{who} prints no number: {path.name} is no JSON ({problem})", allowed="one JSON object"
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Repeated(repr(key))
        found[key] = value
    return found


def _found(value: Any, parts: list[str], above: str) -> Iterator[Any]:
    """What stands at the key: `val.accuracy` as an object in an object, or as one name with a dot in it."""
    if not isinstance(value, dict):
        return
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        if name in value:
            if length == len(parts):
                yield value[name]
            else:
                yield from _found(value[name], parts[length:], f"{above}{name}.")


def _number(value: Any, where: str) -> float:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?nan\s*", value, re.IGNORECASE):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{where} is {excerpt(value)}", allowed="one number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else math.nan
