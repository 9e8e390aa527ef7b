"""Names of keyword arguments in params.yaml, as Python reads names.

Python gives every identifier the Unicode form NFKC, so that `µ` typed on a keyboard and the `μ` of the Greek alphabet
are one name in sources, and two in YAML. Not covered: which names a function takes (`runtime.task_source`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from assay.core.errors import UsageError
from assay.core.short_repr import excerpt

#: sections whose keys are names of keyword arguments
SECTIONS = ("data", "model")


def as_python_reads(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`raw` with the names of arguments in NFKC, profiles and modes included."""
    found = _named(raw, SECTIONS, where)
    if isinstance(found.get("metric"), Mapping):
        found["metric"] = _named(found["metric"], ("options",), f"{where}: metric")
    for kind in ("profiles", "modes"):
        overlays = found.get(kind)
        if isinstance(overlays, Mapping):
            found[kind] = {
                name: _named(one, SECTIONS, f"{where}: {kind}") if isinstance(one, Mapping) else one
                for name, one in overlays.items()
            }
    return found


def _named(values: Mapping[str, Any], sections: tuple[str, ...], where: str) -> dict[str, Any]:
    found = dict(values)
    for section in sections:
        below = found.get(section)
        if isinstance(below, Mapping):
            names = {key: unicodedata.normalize("NFKC", key) if isinstance(key, str) else key for key in below}
            twice = [key for key, name in names.items() if name != key and name in below]
            if twice:
                problem = f"{where} has {section}.{excerpt(twice[0])} in two Unicode forms"
                raise UsageError(problem, hint="remove one of the two")
            found[section] = {names[key]: value for key, value in below.items()}
    return found
