"""Everything that `assay data` finds, as a record of plain values. What was not looked at is named with the reason.

Not covered: sentences (`report.data_text`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import msgspec

from assay.core.paths import ProjectPaths
from assay.core.schemas import Record
from assay.data_trust import (
    column_drift,
    example_vectors,
    examples_of_all_parts,
    near_duplicates,
    object_sizes,
    outlying_examples,
    suspected_labels,
)
from assay.data_trust.example_vectors import NoVectorsError, VectorSpace
from assay.data_trust.examples_of_all_parts import PartedExamples

Say = Callable[[str], None]


class FoundExample(msgspec.Struct, frozen=True, kw_only=True):
    """One example, by its part and id."""

    part: str
    id: str


class FoundOutlier(FoundExample, frozen=True, kw_only=True):
    """`what`: a column's name, size or all numbers; `score` in robust standard deviations."""

    what: str
    value: float
    score: float


class FoundNearPair(msgspec.Struct, frozen=True, kw_only=True):
    """`distance` in shares of that of two unrelated examples."""

    first: FoundExample
    second: FoundExample
    distance: float


class FoundLabel(FoundExample, frozen=True, kw_only=True):
    """`margin`: probability of the label minus that of the suggested class."""

    label: str
    suggested: str
    margin: float


class DataFindings(Record, frozen=True, kw_only=True):
    """What `assay data --json` prints."""

    examples: dict[str, int]  # part → examples
    classes: dict[str, dict[str, int]]  # class → part → examples
    ranges: dict[str, dict[str, float]]  # column → min, max, mean, sd of the training part
    drift: list[dict[str, Any]]  # column, part, kind, shift, p
    sizes: dict[str, float]  # of inputs: min, median, max
    size_unit: str
    objects: dict[str, dict[str, dict[str, float]]]  # class → part → objects and their areas
    outliers: int
    farthest: list[FoundOutlier]
    near_across: dict[str, int]  # `validation-train` → examples of the first with a near copy in the second
    near_within: int
    near_pairs: list[FoundNearPair]  # those across parts first, the nearest first
    suspected_labels: int
    examined_labels: int
    agreement: float | None  # share of labels that are the likeliest class
    sources: list[str]  # where the probabilities come from
    suspects: list[FoundLabel]
    confused: list[list[Any]]  # label, suggestion, how many: the most frequent first
    left_out: dict[str, str]  # what was not looked at → why


def find(layout: ProjectPaths, most: int, rule: str, say: Say) -> DataFindings:
    """All findings about the parts of the project; lists hold at most `most`."""
    examples = examples_of_all_parts.read(layout)
    left_out: dict[str, str] = {}
    space, why = _space(examples, say)
    say("classes, ranges and drift")
    sizes = outlying_examples.sizes(examples)
    found: dict[str, Any] = {
        "examples": {name: len(part) for name, part in examples.parts.items()},
        "classes": column_drift.balance(examples),
        "ranges": column_drift.ranges(examples),
        "drift": [asdict(one) for one in column_drift.shifts(examples)[:most]],
        "sizes": {} if sizes is None else _spread(sizes[0]),
        "size_unit": "" if sizes is None else sizes[1],
    }
    objects = object_sizes.find(examples)
    found["objects"] = {label: {name: asdict(one) for name, one in of.items()} for label, of in objects.items()}
    say("outliers")
    found |= _outliers(examples, space, sizes, most)
    say("near duplicates")
    found |= _near(examples, space, why, most, left_out)
    say("labels")
    found |= _labels(examples, (space, why), layout, rule, most, left_out)
    return DataFindings(**found, left_out=left_out)


def _space(examples: PartedExamples, say: Say) -> tuple[VectorSpace | None, str]:
    say("inputs as numbers")
    try:
        return example_vectors.fitted(examples), ""
    except NoVectorsError as error:
        return None, str(error)


def _spread(sizes: Any) -> dict[str, float]:
    middle = float(sorted(sizes.tolist())[len(sizes) // 2])
    return {"min": float(sizes.min()), "median": middle, "max": float(sizes.max())}


def _outliers(examples: PartedExamples, space: VectorSpace | None, sizes: Any, most: int) -> dict[str, Any]:
    values, unit = (None, "") if sizes is None else sizes
    count, farthest = outlying_examples.find(examples, space, values, unit, most)
    listed = [
        FoundOutlier(**_named(examples, one.row), what=one.what, value=one.value, score=round(one.score, 2))
        for one in farthest
    ]
    return {"outliers": count, "farthest": listed}


def _named(examples: PartedExamples, row: int) -> dict[str, str]:
    part, name = examples.place(row)
    return {"part": part, "id": name}


def _near(
    examples: PartedExamples, space: VectorSpace | None, why: str, most: int, left_out: dict[str, str]
) -> dict[str, Any]:
    nothing: dict[str, Any] = {"near_across": {}, "near_within": 0, "near_pairs": []}
    try:
        if space is None:
            raise NoVectorsError(why)
        found = near_duplicates.find(examples, space)
    except NoVectorsError as error:
        left_out["near duplicates"] = str(error)
        return nothing
    if found.cut:
        left_out["some near duplicates"] = f"there are more than {near_duplicates.MOST_PAIRS:,} pairs to compare"
    codes = examples.part_codes[found.pairs]
    same = (codes[:, 0] == codes[:, 1]) if len(codes) else []
    order = sorted(range(len(found.pairs)), key=lambda at: (bool(same[at]), float(found.distances[at]), at))[:most]
    pairs = [
        FoundNearPair(
            first=FoundExample(**_named(examples, int(found.pairs[at, 0]))),
            second=FoundExample(**_named(examples, int(found.pairs[at, 1]))),
            distance=round(float(found.distances[at]), 4),
        )
        for at in order
    ]
    return {
        "near_across": near_duplicates.across(found, examples),
        "near_within": near_duplicates.within(found, examples),
        "near_pairs": pairs,
    }


def _labels(
    examples: PartedExamples,
    numbers: tuple[VectorSpace | None, str],
    layout: ProjectPaths,
    rule: str,
    most: int,
    left_out: dict[str, str],
) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "suspected_labels": 0,
        "examined_labels": 0,
        "agreement": None,
        "sources": [],
        "suspects": [],
    }
    space, why = numbers
    try:
        found, sources = suspected_labels.find(examples, space, layout, rule, why)
    except NoVectorsError as error:
        left_out["labels"] = str(error)
        return {**nothing, "sources": [], "suspects": [], "confused": []}
    left_out["labels of the test part"] = "it stays sealed"
    names = examples.classes or ()
    suspects = [
        FoundLabel(
            **_named(examples, int(row)), label=names[label], suggested=names[other], margin=round(float(margin), 4)
        )
        for row, label, other, margin in zip(
            found.rows[:most], found.labels[:most], found.suggested[:most], found.margins[:most], strict=True
        )
    ]
    counts = found.counts(len(names))
    largest = sorted(zip(*counts.nonzero(), strict=True), key=lambda at: (-counts[at], at))[:most]
    return {
        "suspected_labels": len(found.rows),
        "examined_labels": found.examined,
        "agreement": round(found.agreement, 4),
        "sources": sources,
        "suspects": suspects,
        "confused": [[names[one], names[other], int(counts[one, other])] for one, other in largest],
    }
