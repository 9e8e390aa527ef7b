"""serve_requests: runs the workers of one launch on this machine, so many at a time; no stage of dvc.yaml.

`assay stage serve_requests FOLDER`, started by `assay work` and left alone: it ends when its last worker did.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.work import local_engine


def main(_root: Path, arguments: Sequence[str]) -> None:
    local_engine.serve(Path(arguments[0]), lambda line: print(line, flush=True))
