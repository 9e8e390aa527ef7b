"""replicate_rank: one of the processes in which a replicate trains, started by torchrun; no stage of dvc.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.training import replicate_process


def main(_root: Path, arguments: Sequence[str]) -> None:
    replicate_process.rank(arguments[0])
