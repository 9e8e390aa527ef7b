"""Examples that are nearly the same, above all in two parts: what was trained is then tested.

Each example gets 256 bits: on which side of random planes it lies, each cut at its median (Charikar 2002). Examples
whose bits agree in a random choice of 64 lie beside each other once they are sorted by these, 24 times over; only such
neighbours are compared. Time is N log N, and memory some 100 bytes an example. Covers: pairs closer than a share of the
usual distance. Not covered: exact copies, which the split keeps together and the data card counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data_trust.example_vectors import NoVectorsError, VectorSpace
from assay.data_trust.examples_of_all_parts import PIECE, PartedExamples, Rows
from assay.data_trust.image_thumbnails import Vectors

#: distance in shares of that of two unrelated examples, below which two are nearly the same; of texts, by their words
NEAR, NEAR_TEXTS = 0.1, 0.3
#: bits of a signature, bits that it is sorted by, times that it is, neighbours that are compared
BITS, SORTED, TIMES, WINDOW = 256, 64, 24, 4
#: bits in which two near ones may differ: the mean for NEAR is 11.5, for NEAR_TEXTS 35, and four deviations more
APART, APART_TEXTS = 26, 57
#: with fewer columns unrelated examples are near each other, too
LEAST = 8
#: examples by which the planes are cut, and pairs that are kept
SAMPLE, MOST_PAIRS = 4_096, 2_000_000

_COUNT = np.array([bin(value).count("1") for value in range(256)], dtype=np.uint8)


@dataclass(frozen=True)
class NearPairs:
    """`pairs` (P, 2) rows that are nearly the same, the smaller first, with their `distances` (P,); nearest first."""

    pairs: NDArray[np.int64]
    distances: NDArray[np.float32]
    cut: bool  # there were more than are kept


def find(examples: PartedExamples, space: VectorSpace) -> NearPairs:
    """Pairs of different inputs. Raises NoVectorsError where near means nothing."""
    if space.varying < LEAST:
        raise NoVectorsError(f"inputs have {space.varying} numbers that vary: with fewer than {LEAST}, near is no copy")
    _, distinct = np.unique(examples.keys, return_index=True)
    rows = np.sort(distinct).astype(np.int64)
    bits = _signatures(examples, space, rows)
    candidates, cut = _candidates(bits, examples.part_codes[rows], APART_TEXTS if space.unit else APART)
    return _verified(examples, space, rows[candidates], cut)


def _signatures(examples: PartedExamples, space: VectorSpace, rows: Rows) -> NDArray[np.uint8]:
    """(M, 32) bits of the rows, packed."""
    rng = np.random.default_rng(0)
    planes = rng.standard_normal((len(space.mean), BITS), dtype=np.float32)
    some = np.sort(rng.choice(rows, min(SAMPLE, len(rows)), replace=False))
    borders = np.median(space.at(examples, some) @ planes, axis=0)
    found = np.empty((len(rows), BITS // 8), dtype=np.uint8)
    for begin in range(0, len(rows), PIECE):
        vectors = space.at(examples, rows[begin : begin + PIECE])
        found[begin : begin + PIECE] = np.packbits(vectors @ planes > borders, axis=1)
    return found


def _candidates(bits: NDArray[np.uint8], codes: NDArray[np.int8], most: int) -> tuple[NDArray[np.int64], bool]:
    """(P, 2) places whose signatures differ in at most `most` bits; whether there were too many."""
    rng, count = np.random.default_rng(1), len(bits)
    known: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    for _ in range(TIMES):
        order = np.argsort(_sort_keys(bits, rng.permutation(BITS)[:SORTED]), kind="stable")
        fresh = [known]
        for one, other in _neighbours(order, codes):
            near = _differing(bits, one, other) <= most
            low, high = np.minimum(one[near], other[near]), np.maximum(one[near], other[near])
            fresh.append(low.astype(np.int64) * count + high)
        known = np.unique(np.concatenate(fresh))
        if len(known) > MOST_PAIRS:
            return _pairs(known[:MOST_PAIRS], count), True
    return _pairs(known, count), False


def _pairs(known: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.stack(np.divmod(known, count), axis=1) if len(known) else np.zeros((0, 2), dtype=np.int64)


def _sort_keys(bits: NDArray[np.uint8], chosen: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(M,) the chosen 64 bits of each signature as one number."""
    found = np.empty(len(bits), dtype=np.uint64)
    for begin in range(0, len(bits), 16 * PIECE):
        piece = bits[begin : begin + 16 * PIECE]
        some = (piece[:, chosen // 8] >> (7 - chosen % 8).astype(np.uint8)) & 1
        found[begin : begin + len(piece)] = np.ascontiguousarray(np.packbits(some, axis=1)).view(">u8")[:, 0]
    return found


def _neighbours(order: NDArray[np.int64], codes: NDArray[np.int8]) -> Iterator[tuple[Any, Any]]:
    """Places of neighbours in the order; and of each run of one part the last example of another part before it."""
    for step in range(1, WINDOW + 1):
        for begin in range(0, len(order) - step, 16 * PIECE):
            end = min(begin + 16 * PIECE, len(order) - step)
            yield order[begin:end], order[begin + step : end + step]
    ordered = codes[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    run = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    later = np.flatnonzero((run > 0) & (np.arange(len(order)) - run >= WINDOW))
    yield order[later], order[run[later] - 1]


def _differing(bits: NDArray[np.uint8], one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) bits in which the signatures differ."""
    found: NDArray[np.int64] = _COUNT[bits[one] ^ bits[other]].sum(axis=1, dtype=np.int64)
    return found


def _verified(examples: PartedExamples, space: VectorSpace, pairs: NDArray[np.int64], cut: bool) -> NearPairs:
    """Those of the candidates that are near by their numbers, too."""
    near, distances = NEAR_TEXTS if space.unit else NEAR, np.empty(len(pairs), dtype=np.float32)
    for begin in range(0, len(pairs), PIECE):
        some = pairs[begin : begin + PIECE]
        apart: Vectors = space.at(examples, some[:, 0]) - space.at(examples, some[:, 1])
        usual = 2.0 if space.unit else 2.0 * space.varying
        distances[begin : begin + len(some)] = np.sqrt(np.square(apart).sum(axis=1) / usual)
    kept = np.flatnonzero(distances <= near)
    kept = kept[np.lexsort((pairs[kept, 1], pairs[kept, 0], distances[kept]))]
    return NearPairs(pairs[kept], distances[kept], cut)


def across(found: NearPairs, examples: PartedExamples) -> dict[str, int]:
    """`validation-train` → how many examples of the first part have a near copy in the second."""
    names, codes = list(examples.parts), examples.part_codes[found.pairs]
    counts = {}
    for later in range(len(names)):
        for earlier in range(later):
            both = (codes.min(axis=1) == earlier) & (codes.max(axis=1) == later) if len(codes) else np.zeros(0, bool)
            rows = found.pairs[both].max(axis=1) if both.any() else np.zeros(0, np.int64)
            counts[f"{names[later]}-{names[earlier]}"] = len(np.unique(rows))
    return counts


def within(found: NearPairs, examples: PartedExamples) -> int:
    """How many examples are nearly the same as one before them in their own part."""
    codes = examples.part_codes[found.pairs]
    same = codes[:, 0] == codes[:, 1] if len(codes) else np.zeros(0, bool)
    return len(np.unique(found.pairs[same, 1]))
