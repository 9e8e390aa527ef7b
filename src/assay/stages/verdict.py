"""verdict: print what `evaluate` found, also where nothing was to be run; it is small and always runs.

Fails where no look could be recorded: by then everything is measured, and what to do is one command.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import NOT_RECORDED, RECORD, UNRECORDED
from assay.runtime import files


def main(root: Path, _arguments: Sequence[str]) -> None:
    layout, hint = ProjectPaths(root), "dvc repro evaluate verdict"
    print(files.read_bytes(layout.verdict, hint).decode("utf-8", "surrogateescape"), end="")
    if msgspec.json.decode(files.read_bytes(layout.metrics, hint)).get("look") == NOT_RECORDED:
        raise UsageError(f"{UNRECORDED}, so nothing counts as shown", hint=f"let Git write its refs, then {RECORD}")
