"""serve_requests: runs the workers of one launch, so many at a time; no stage of dvc.yaml.

`assay stage serve_requests FOLDER [ray]`, started by `assay work` and left alone: it ends when its last worker did.
With `ray` the workers are tasks of a Ray cluster.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from assay.work import engines, local_engine


def main(_root: Path, arguments: Sequence[str]) -> None:
    folder, *on = arguments
    served: Callable[[Path, Callable[[str], object]], None] = local_engine.serve
    if on == [engines.RAY]:
        served = importlib.import_module("assay.work.ray_server").serve
    served(Path(folder), lambda line: print(line, flush=True))
