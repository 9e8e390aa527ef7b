"""The parts of pyarrow that read files, or one sentence where it is not installed."""

from __future__ import annotations

from assay.core.errors import UsageError

try:
    import pyarrow
    from pyarrow import csv, parquet
except ImportError as error:
    raise UsageError("tables need pyarrow, which is not installed", mend="pip install 'dvc-assay[ready]'") from error

__all__ = ["csv", "parquet", "pyarrow"]
