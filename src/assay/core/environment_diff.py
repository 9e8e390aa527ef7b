"""What differs between two environments, name by name."""

from __future__ import annotations

from msgspec import UNSET

from assay.core.schemas import Environment


def find(one: Environment, other: Environment) -> list[tuple[str, str, str]]:
    """What differs, and what it is in both; the first ends in a space, or is "" where the values tell it."""
    if one.classes is not UNSET or other.classes is not UNSET:
        pairs = [("", one.machine_class, other.machine_class), ("", one.system, other.system)]
    else:
        pairs = [*_places(one, other), ("", _hardware(one), _hardware(other))]
    pairs += [("training code of Assay ", one.library[:12] or "unknown", other.library[:12] or "unknown")]
    for first, second in ((one.packages, other.packages), (_variables(one), _variables(other))):
        pairs += [(f"{name} ", first.get(name, "none"), second.get(name, "none")) for name in sorted({*first, *second})]
    return [(name, first, second) for name, first, second in pairs if first != second]


def _places(one: Environment, other: Environment) -> list[tuple[str, str, str]]:
    return [("", one.device, other.device), ("", one.machine, other.machine), ("", one.system, other.system)]


def _hardware(one: Environment) -> str:
    return "unknown hardware" if one.hardware is UNSET else str(one.hardware)


def _variables(one: Environment) -> dict[str, str]:
    return one.variables if isinstance(one.variables, dict) else {}
