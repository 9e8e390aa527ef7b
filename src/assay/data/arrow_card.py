"""What the data card says of inputs that are no array: columns of a table, lengths of texts and files, shapes."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import Any

from assay.core.pyarrow_package import compute, pyarrow
from assay.data import arrow_hash
from assay.data.arrow_rows import ArrowRows

#: endings and shapes that are named; the rest is counted together
NAMED = 20


def described(rows: ArrowRows) -> dict[str, Any]:
    """As plain JSON values; names of columns are kept here."""
    if rows.form == "table":
        return {"form": rows.form, "columns": {name: _column(rows.table.column(name)) for name in rows.columns}}
    if rows.form == "texts":
        return {"form": rows.form, "characters": _range(compute.utf8_length(rows.table.column("text")))}
    if rows.form == "files":
        endings = Counter(PurePath(path).suffix.lower() for path in rows.table.column("path").to_pylist())
        sizes = compute.binary_length(rows.table.column("content"))
        return {"form": rows.form, "endings": _most(endings), "bytes": _range(sizes)}
    shapes = Counter(rows.table.column("shape").to_pylist())
    kinds = sorted(set(rows.table.column("dtype").to_pylist()))
    return {"form": rows.form, "shapes": _most(shapes), "dtypes": kinds}


def missing(rows: ArrowRows) -> int:
    """How many values of a table are missing."""
    return sum(rows.table.column(name).null_count for name in rows.columns)


def _column(column: Any) -> dict[str, Any]:
    found = {"type": str(column.type), "missing": column.null_count, "distinct": compute.count_distinct(column).as_py()}
    if arrow_hash.is_number(column.type):
        numbers = column.cast(pyarrow.float64(), safe=False)
        found |= _range(numbers) | {"sd": compute.stddev(numbers).as_py()}
    return found


def _range(column: Any) -> dict[str, Any]:
    ends = compute.min_max(column).as_py()
    return {"min": ends["min"], "max": ends["max"], "mean": compute.mean(column).as_py()}


def _most(counts: Counter[str]) -> dict[str, int]:
    named = dict(counts.most_common(NAMED))
    rest = counts.total() - sum(named.values())
    return named | ({"others": rest} if rest else {})
