"""Train, validation and test: where an example goes follows from its own content.

Each unit (all exact copies of an input, or all groups that share one) gets a number in [0, 1) by hashing its content.
Within a class, units in the order of that number fill test, then validation, then train. New data shifts
the two borders by about the sampling error of a quantile, so few old examples move. A fixed fence half-way
into the validation share keeps test and train apart for good: below it nothing ever trains, above it
nothing is ever tested, however the data grow.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.paths import PARTS
from assay.data.data_card import labels
from assay.data.storage import Examples
from assay.data.validate_examples import content_keys

_SALT = "assay split 1"


def assign(examples: Examples, validation: float, test: float) -> NDArray[np.str_]:
    """The part of each example (N,): "train", "validation" or "test".

    `validation` and `test` are shares of the examples, both > 0 with a sum below 1.
    """
    units = _units(examples)
    fence = test + validation / 2
    parts = np.full(len(examples), "train", dtype="U10")
    for members in _strata(examples, units).values():
        size, filled = sum(len(rows) for _, rows in members), 0
        for number, rows in sorted(members, key=lambda member: member[0]):
            middle = (filled + len(rows) / 2) / size
            filled += len(rows)
            parts[rows] = _part(number, middle, validation, test, fence)
    _all_filled(parts)
    return parts


def _part(number: float, middle: float, validation: float, test: float, fence: float) -> str:
    if middle < test and number < fence:
        return "test"
    return "validation" if middle < test + validation or number < fence else "train"


def _units(examples: Examples) -> list[str]:
    """What must stay together with each example (N,), by name: its input's copies, or its group.

    Groups that hold copies of the same input are one unit. Its name is the one with the smallest number, so that
    groups which later turn out to belong together move towards test, and never from it into train.
    """
    keys = content_keys(examples.inputs)
    if examples.groups is None:
        return keys
    names = [f"group {name}" for name in examples.groups]
    lead = {name: name for name in names}
    holder: dict[str, str] = {}
    for name, key in zip(names, keys, strict=True):
        pair = (_leader(lead, name), _leader(lead, holder.setdefault(key, name)))
        one, other = sorted(pair, key=_number)
        lead[other] = one
    return [_leader(lead, name) for name in names]


def _leader(lead: dict[str, str], name: str) -> str:
    while lead[name] != name:
        lead[name] = name = lead[lead[name]]
    return name


def _number(unit: str) -> float:
    """Uniform in [0, 1), from the unit's content alone."""
    return int.from_bytes(hashlib.blake2b(f"{_SALT}{unit}".encode(), digest_size=7).digest(), "big") / 2**56


def _strata(examples: Examples, units: list[str]) -> dict[int, list[tuple[float, list[int]]]]:
    """Stratum → its units as (number, rows). A unit of several classes belongs to its most frequent one."""
    rows: dict[str, list[int]] = {}
    for row, unit in enumerate(units):
        rows.setdefault(unit, []).append(row)
    strata: dict[int, list[tuple[float, list[int]]]] = {}
    for unit, members in rows.items():
        stratum = _majority(examples.targets[members]) if examples.classes and examples.targets.ndim == 1 else 0
        strata.setdefault(stratum, []).append((_number(unit), members))
    return strata


def _majority(targets: NDArray[np.generic]) -> int:
    counts = Counter(int(target) for target in targets)
    return min(counts, key=lambda label: (-counts[label], label))


def _all_filled(parts: NDArray[np.str_]) -> None:
    for name in PARTS:
        if not (parts == name).any():
            raise UsageError(
                f"the {name} part would be empty: there are only {len(parts)} examples",
                mend="bring more data, or raise the part's share under split: in params.yaml",
            )


def report(parts: dict[str, Examples], duplicates: int) -> dict[str, Any]:
    """What a person asks of a split: sizes, labels, overlap of parts, and how far they drifted apart."""
    return {
        "schema": 1,
        "sizes": {name: len(part) for name, part in parts.items()},
        "labels": {name: labels(part) for name, part in parts.items() if part.classes},
        "exact_duplicates_within": duplicates,
        "overlap": {f"{first}-{second}": _overlap(parts[first], parts[second]) for first, second in _pairs()},
        "drift": {f"{first}-{second}": _drift(parts[first], parts[second]) for first, second in _pairs()},
    }


def _pairs() -> list[tuple[str, str]]:
    return [("train", "validation"), ("train", "test"), ("validation", "test")]


def _overlap(first: Examples, second: Examples) -> dict[str, int]:
    """How many inputs, and groups, two parts have in common."""
    shared = len(set(content_keys(first.inputs)) & set(content_keys(second.inputs)))
    if first.groups is None or second.groups is None:
        return {"inputs": shared}
    return {"inputs": shared, "groups": len(set(first.groups) & set(second.groups))}


def _drift(first: Examples, second: Examples) -> dict[str, float]:
    """Total variation between label shares; the largest shift of an input's mean, in standard deviations."""
    a = first.inputs.reshape(len(first), -1).astype(np.float64)
    b = second.inputs.reshape(len(second), -1).astype(np.float64)
    spread = np.concatenate([a, b]).std(axis=0)
    shift = np.abs(a.mean(axis=0) - b.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    found = {"largest_mean_shift_sd": round(float(shift.max(initial=0.0)), 4)}
    if first.classes:
        counts = [np.array(list(labels(part).values())) for part in (first, second)]
        shares = [count / max(1, count.sum()) for count in counts]
        found["label_total_variation"] = round(float(np.abs(shares[0] - shares[1]).sum() / 2), 4)
    return found
