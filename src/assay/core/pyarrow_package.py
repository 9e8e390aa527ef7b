"""pyarrow, or one sentence where it is not installed. Imported only where a table or file is at hand that needs it."""

from __future__ import annotations

from assay.core.errors import UsageError

#: what installs the packages that ready tasks, tables, texts and references to files need
INSTALL = "pip install 'dvc-assay[ready]'"

try:
    import pyarrow
    import pyarrow.compute as compute
    from pyarrow import csv, parquet
except ImportError as error:
    raise UsageError("tables, texts and files need pyarrow, which is not installed", hint=INSTALL) from error

__all__ = ["compute", "csv", "parquet", "pyarrow"]
