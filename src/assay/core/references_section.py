"""References of params.yaml: published numbers that a run should reproduce, under `judge.references`.

Covers: names, ranges, what is missing. Not covered: whether a run reproduces them (`stats.reference_value`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from assay.core.errors import UsageError
from assay.core.params_section import Section
from assay.core.short_repr import excerpt, excerpt_of_name

EXAMPLE = "{value: 0.953, margin: 0.005, source: Smith 2020 table 3}"


class Reference(Section, frozen=True, kw_only=True):
    """One published number, in the metric's units."""

    value: float
    margin: Annotated[float, Meta(gt=0)]  # a mean that lies closer than this to the value reproduces it
    source: str  # where it is published, for whoever asks in a year
    metric: str = ""  # that the number is of; left out: the metric that decides
    examples: Annotated[int, Meta(ge=1)] | None = None  # that it was computed on, where the source says so


def parsed(given: Mapping[str, Any], where: str) -> dict[str, Reference]:
    """Name → reference. Raises UsageError with the name, the key and the value that does not fit."""
    return {name: _reference(name, value, where) for name, value in given.items()}


def _reference(name: str, given: Any, where: str) -> Reference:
    path = f"judge.references.{excerpt_of_name(name)}"
    if not isinstance(given, Mapping):
        raise UsageError(f"{where}: {path} is {excerpt(given)}", allowed=EXAMPLE, hint=f"set {path} in params.yaml")
    unknown = next((key for key in given if key not in Reference.__struct_fields__), None)
    if unknown is not None:
        known = ", ".join(Reference.__struct_fields__)
        raise UsageError(f"{where}: unknown parameter '{path}.{unknown}'", allowed=known, hint="remove it")
    missing = next((key for key in ("value", "margin", "source") if given.get(key) in (None, "")), None)
    if missing is not None:
        raise UsageError(f"{where}: {path} lacks {missing}", allowed=EXAMPLE, hint=f"add it below {path}")
    for key, value in given.items():
        kind, allowed = _KINDS[key]
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            hint = f"set {path}.{key} in params.yaml"
            raise UsageError(f"{where}: {path}.{key} is {excerpt(value)}", allowed=allowed, hint=hint) from error
    return msgspec.convert(dict(given), Reference)


_KINDS: dict[str, tuple[Any, str]] = {
    "value": (float, "a number"),
    "margin": (Annotated[float, Meta(gt=0)], "a number > 0, in the metric's units"),
    "source": (str, "text"),
    "metric": (str, "the name of a metric"),
    "examples": (Annotated[int, Meta(ge=1)] | None, "a whole number >= 1"),
}
