"""serve_requests: runs the workers of one launch, so many at a time; no stage of dvc.yaml.

`assay stage serve_requests FOLDER [ray]`, started by `assay work` and left alone: it ends when its last worker did.
With `ray` the workers are tasks of a Ray cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.work import engines


def main(_root: Path, arguments: Sequence[str]) -> None:
    folder, *on = arguments
    engines.server(*on)(Path(folder), lambda line: print(line, flush=True))
