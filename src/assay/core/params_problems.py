"""Everything that is wrong in a params.yaml, and not the first problem alone, for `assay check`.

Covers: finding the next problem by putting the last one right for the moment. Not covered: what is right
(`core.params_yaml`).
"""

from __future__ import annotations

import copy
import re
from typing import Any

import msgspec

from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import PARAMS

#: keys without a default → a value that stands in for one that is missing or wrong
STAND_INS: dict[str, Any] = {"lr": 0.001, "replicates": 1, "seed": 0, "metric": {"name": "none"}, "metric.name": "none"}
#: more problems than anybody reads at once
MOST = 20


def problems(content: bytes, where: str = PARAMS) -> tuple[list[UsageError], Params | None]:
    """All problems, and the parameters with each wrong value at its default; None where even that cannot be had."""
    found: list[UsageError] = []
    try:
        raw = copy.deepcopy(params_yaml.read(content, where))
    except UsageError as error:
        return [error], None
    while len(found) < MOST:
        try:
            return found, params_yaml.resolved_values(raw, where)
        except UsageError as error:
            found.append(error)
            path = _path(error)
            if path is None or not _put_right(raw, path):
                break
    return found, None


def _path(error: UsageError) -> list[str] | None:
    """Keys down to the value that msgspec refused; None where something else did."""
    if not isinstance(error.__cause__, msgspec.ValidationError):
        return None
    said = str(error.__cause__)
    placed = re.fullmatch(r"(.*) - at `\$([^`]*)`", said, re.DOTALL)
    text, path = (placed[1], placed[2]) if placed else (said, "")
    named = re.fullmatch(r"Object (?:contains unknown|missing required) field `(.*)`", text, re.DOTALL)
    keys = [key for key in re.split(r"\.|\[\d+\]|\[\.\.\.\]", path) if key]
    return [*keys, named[1]] if named else keys or None


def _put_right(raw: dict[str, Any], path: list[str]) -> bool:
    """Whether the value at `path` could be taken out, or be given one that stands in for it."""
    *above, last = path
    place: Any = raw
    for key in above:
        place = place.get(key) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        return False
    known = ".".join(path) in STAND_INS
    if known:
        place[last] = copy.deepcopy(STAND_INS[".".join(path)])
    return known or place.pop(last, ...) is not ...
