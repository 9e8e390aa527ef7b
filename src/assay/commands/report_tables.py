"""Tables of a result as a page needs them: replicates, floors, curves, confusion, reliability, slices.

Covers: the columns that `evaluate` and training write; what cannot be read is left out with a sentence. Not covered:
showing them (`assay.report`), finding them (`history.recorded_files`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from assay.core.errors import UsageError
from assay.report.page.class_sections import ReliabilityBin, SliceRow, as_number
from assay.report.page.replicate_sections import CurvePoint, ReplicateRow
from assay.runtime.table_files import Table

Row = dict[str, str]


def _rows(content: bytes | None, *columns: str) -> list[Row]:
    """Rows of a CSV file; none where there is no file. Raises UsageError where a column is missing."""
    if content is None:
        return []
    reader = csv.DictReader(io.StringIO(content.decode("utf-8", "replace")), restval="")
    try:
        found = [{str(key): str(cell) for key, cell in row.items()} for row in reader]
    except csv.Error as error:
        raise UsageError(f"it is no table: {error}") from error
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise UsageError(f"it has no column {', '.join(missing)}")
    return found


def replicates(table: Table, metric: str) -> list[ReplicateRow]:
    """Each replicate of both arms under the deciding metric."""
    count = len(table["arm"])
    same = table.get("same_as", [""] * count)
    return [
        ReplicateRow(arm, seed, as_number(value) if status == "ok" else None, _note(status, twin))
        for arm, seed, status, value, twin in zip(
            table["arm"], table["seed"], table["status"], table[metric], same, strict=True
        )
        if arm in ("baseline", "candidate")
    ]


def _note(status: str, twin: str) -> str:
    return f"the predictions of replicate {twin}: counted once" if twin else "" if status == "ok" else status


def floors(table: Table, metric: str) -> dict[str, float]:
    """Name → value of each floor that has one; the mean where each replicate has a split."""
    rows = zip(table["arm"], table["strategy"], table[metric], strict=True)
    found: dict[str, list[float]] = {}
    for arm, name, cell in rows:
        if arm == "floor" and (value := as_number(cell)) is not None:
            found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def curves(content: bytes | None) -> list[CurvePoint]:
    """Points of all replicates, in the order of the file. Raises UsageError for what is no such table."""
    rows = _rows(content, "seed", "epoch", "train_loss", "validation_loss")
    return [
        CurvePoint(row["seed"], int(epoch), as_number(row["train_loss"]), as_number(row["validation_loss"]))
        for row in rows
        if (epoch := as_number(row["epoch"])) is not None
    ]


def confusion(content: bytes | None) -> list[tuple[str, str]]:
    """(actual, predicted) of each example, as `evaluate` wrote them. Raises UsageError."""
    return [(row["actual"], row["predicted"]) for row in _rows(content, "actual", "predicted")]


def reliability(content: bytes | None) -> list[ReliabilityBin]:
    """Bins of both arms. Raises UsageError."""
    return list(_bins(_rows(content, "arm", "confidence", "accuracy", "count")))


def _bins(rows: list[Row]) -> Iterator[ReliabilityBin]:
    for row in rows:
        values = [as_number(row[name]) for name in ("confidence", "accuracy", "count")]
        if None not in values and row["arm"] in ("baseline", "candidate"):
            confidence, accuracy, count = (value or 0.0 for value in values)
            yield ReliabilityBin(row["arm"], confidence, accuracy, int(count))


def slices(content: bytes | None) -> list[SliceRow]:
    """Rows of results/slices.csv. Raises UsageError."""
    return [SliceRow(*(row[name] for name in SliceRow._fields)) for row in _rows(content, *SliceRow._fields)]


def json_object(content: bytes | None) -> Mapping[str, Any] | None:
    """The JSON object in a file, None where there is none or it is damaged."""
    try:
        found = json.loads(content) if content else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
