"""trace: a few steps of every mode, for `assay guard`, which asks two revisions and compares.

`assay stage trace REQUEST.json`, in this tree, with these parameters and this code; no stage of
dvc.yaml. Request and answer are records of `assay.words.records`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.outside import files
from assay.tracing.steps import trace
from assay.words import records
from assay.words.errors import UsageError


def main(root: Path, arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise UsageError(f"trace was given {len(arguments)} arguments", allowed="one path of a request")
    request = records.decode(files.read_bytes(Path(arguments[0])), records.TraceRequest, arguments[0])
    files.write_bytes(Path(request.answer), records.encode(trace(request, root)))
