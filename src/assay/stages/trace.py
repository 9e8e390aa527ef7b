"""trace: a few steps of every mode, for `assay guard`, which asks two revisions and compares.

`assay stage trace REQUEST.json`, in this tree, with these parameters and this code; no stage of
dvc.yaml. Request and answer are records of `assay.core.schemas`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.trace_records import TraceRequest
from assay.runtime import files
from assay.training.step_trace import trace


def main(root: Path, arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise UsageError(f"trace was given {len(arguments)} arguments", allowed="one path of a request")
    request = schemas.decode(files.read_bytes(Path(arguments[0])), TraceRequest, arguments[0])
    files.write_bytes(Path(request.answer), schemas.encode(trace(request, root)))
