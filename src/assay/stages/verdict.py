"""verdict: print what `evaluate` found, also where nothing was to be run; it is small and always runs.

Fails where no look could be recorded: by then everything is measured, and what to do is one command.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import RECORD, UNRECORDED
from assay.runtime import files


def main(root: Path, _arguments: Sequence[str]) -> None:
    text = files.read_bytes(ProjectPaths(root).verdict, "dvc repro evaluate verdict").decode("utf-8", "surrogateescape")
    print(text, end="")
    if text.startswith(f"inconclusive: {UNRECORDED}"):
        raise UsageError(f"{UNRECORDED}, so nothing counts as shown", mend=f"let Git write its refs, then {RECORD}")
