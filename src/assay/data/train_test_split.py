"""Train, validation and test: where an example goes follows from its own content.

Each unit (all exact copies of an input, or all groups that share one) gets a number in [0, 1) by hashing its content.
Within a class, units in the order of that number fill test, then validation, then train. New data shifts
the two borders by about the sampling error of a quantile, so few old examples move. A fixed fence half-way
into the validation share keeps test and train apart for good: below it nothing ever trains, above it
nothing is ever tested, however the data grow.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.paths import PARTS
from assay.data import column_statistics
from assay.data.column_statistics import ColumnStatistics
from assay.data.data_card import duplicates, label_counts
from assay.data.storage import Examples, arrow, input_keys
from assay.runtime import example_ids
from assay.runtime.example_ids import Keys

Array = NDArray[np.float64]
Rows = NDArray[np.integer]

_SALT = "assay split 1"


def assign(examples: Examples, validation: float, test: float, keys: Keys | None = None) -> NDArray[np.str_]:
    """The part of each example (N,): "train", "validation" or "test".

    `validation` and `test` are shares of the examples, both > 0 with a sum below 1; `keys` are those of the inputs,
    where they are at hand.
    """
    units, numbers = units_of(examples, input_keys(examples) if keys is None else keys)
    sizes, strata = np.bincount(units), strata_of(examples, units)
    parts = np.full(len(numbers), "train", dtype="U10")
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        members = members[np.argsort(numbers[members], kind="stable")]
        filled = np.cumsum(sizes[members])
        middle = (filled - sizes[members] + sizes[members] / 2) / filled[-1]
        parts[members] = _parts(numbers[members], middle, validation, test)
    found = parts[units]
    _all_filled(found, len(numbers), "inputs" if examples.groups is None else "groups")
    return found


def _parts(numbers: Array, middle: Array, validation: float, test: float) -> NDArray[np.str_]:
    """(U,) parts of units with these `numbers`, which have the shares `middle` of their stratum before them."""
    fence = test + validation / 2
    tested = (middle < test) & (numbers < fence)
    chosen = np.where((middle < test + validation) | (numbers < fence), "validation", "train")
    return np.where(tested, "test", chosen)


def units_of(examples: Examples, keys: Keys, salt: str = _SALT) -> tuple[NDArray[np.int64], Array]:
    """What must stay together: (N,) the unit of each example, (U,) the number of each unit, uniform in [0, 1).

    A unit is an input with its copies, or a group. Groups that hold copies of the same input are one unit. Its number
    is the smallest of theirs, so that groups which later turn out to belong together move towards test, and never from
    it into train. Another `salt` gives numbers that have nothing to do with these.
    """
    distinct, which = np.unique(keys, return_inverse=True)
    if examples.groups is None:
        return which, numbers_of(example_ids.hex_names(distinct).tolist(), salt)
    names, groups = np.unique(examples.groups, return_inverse=True)
    numbers = numbers_of([f"group {name}" for name in names.tolist()], salt)
    lead = _leaders(which, groups, numbers)
    leaders, units = np.unique(lead[groups], return_inverse=True)
    return units, numbers[leaders]


def _leaders(which: NDArray[np.int64], groups: NDArray[np.int64], numbers: Array) -> NDArray[np.int64]:
    """(G,) for each group the one with the smallest number among those that share inputs, over however many others."""
    lead = list(range(len(numbers)))

    def leader(group: int) -> int:
        while lead[group] != group:
            lead[group] = group = lead[lead[group]]
        return group

    pairs = np.unique(np.stack([which, groups]), axis=1)  # by input
    shared = np.flatnonzero(pairs[0, 1:] == pairs[0, :-1])
    for one, other in pairs[1, np.stack([shared, shared + 1], axis=1)].tolist():
        first, second = sorted((leader(one), leader(other)), key=numbers.__getitem__)
        lead[second] = first
    return np.array([leader(group) for group in range(len(numbers))], dtype=np.int64)


def numbers_of(units: list[str], salt: str) -> Array:
    """(U,) a number uniform in [0, 1) for each unit, from its name alone."""
    hashes = (hashlib.blake2b(f"{salt}{unit}".encode(), digest_size=7).digest() for unit in units)
    return np.fromiter((int.from_bytes(found, "big") / 2**56 for found in hashes), np.float64, len(units))


def strata_of(examples: Examples, units: NDArray[np.int64]) -> NDArray[np.int64]:
    """(U,) the stratum of each unit: its most frequent class, of equals the first; all are one where there is none."""
    if examples.classes is None or examples.targets.ndim > 1:
        return np.zeros(int(units.max()) + 1, dtype=np.int64)
    labels = examples.targets.astype(np.int64)
    pairs, counts = np.unique(units * len(examples.classes) + labels, return_counts=True)
    owners, kinds = np.divmod(pairs, len(examples.classes))
    order = np.lexsort((kinds, -counts, owners))
    _, first = np.unique(owners[order], return_index=True)
    found: NDArray[np.int64] = kinds[order][first]
    return found


def _all_filled(parts: NDArray[np.str_], units: int, what: str) -> None:
    for name in PARTS:
        if not (parts == name).any():
            copies = f" with {units} different {what}, and what is alike stays together" if units < len(parts) else ""
            raise UsageError(
                f"the {name} part would be empty: there are only {len(parts)} examples{copies}",
                hint="bring more data, or raise the part's share under split: in params.yaml",
            )


def report(examples: Examples, where: NDArray[np.str_], keys: Keys) -> dict[str, Any]:
    """What a person asks of a split: sizes, labels, overlap of parts, and how far they drifted apart.

    `where` (N,) is the part of each example, `keys` (N,) are those of their inputs.
    """
    rows = {name: np.flatnonzero(where == name) for name in PARTS}
    described = {name: _described(examples, found) for name, found in rows.items()}
    names = examples.classes or ()
    counts = {name: label_counts(examples.targets[found], names) if names else {} for name, found in rows.items()}
    pairs = [("train", "validation"), ("train", "test"), ("validation", "test")]
    return {
        "schema": 1,
        "sizes": {name: len(found) for name, found in rows.items()},
        "labels": counts if examples.classes else {},
        "exact_duplicates_within": duplicates(keys),
        "overlap": {f"{one}-{two}": _overlap(examples, keys, rows[one], rows[two]) for one, two in pairs},
        "drift": {
            f"{one}-{two}": _drift(described[one], described[two])
            | (_label_drift(counts[one], counts[two]) if examples.classes else {})
            for one, two in pairs
        },
    }


def _described(examples: Examples, rows: Rows) -> ColumnStatistics:
    stored = arrow(examples.inputs)
    return column_statistics.statistics(examples.inputs, rows) if stored is None else stored.statistics(rows)


def _overlap(examples: Examples, keys: Keys, first: Rows, second: Rows) -> dict[str, int]:
    """How many inputs, and groups, two parts have in common."""
    found = {"inputs": len(np.intersect1d(keys[first], keys[second]))}
    if examples.groups is not None:
        found["groups"] = len(np.intersect1d(examples.groups[first], examples.groups[second]))
    return found


def _drift(first: ColumnStatistics, second: ColumnStatistics) -> dict[str, float]:
    """The largest shift of an input's mean, in standard deviations."""
    spread = first.merged(second).spread
    shift = np.abs(first.mean - second.mean) / np.where(spread > 0, spread, 1.0)
    return {"largest_mean_shift_sd": round(float(shift.max(initial=0.0)), 4)}


def _label_drift(first: dict[str, int], second: dict[str, int]) -> dict[str, float]:
    """Total variation between label shares."""
    one, two = (np.array(list(counts.values())) / max(1, sum(counts.values())) for counts in (first, second))
    return {"label_total_variation": round(float(np.abs(one - two).sum() / 2), 4)}
