"""split: canonical examples → train, validation and test, by content; overlap and drift into a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.paths import PARTS
from assay.data import contiguous_split, part_assignment, storage
from assay.data.train_test_split import report
from assay.runtime import files, progress_line
from assay.runtime.stage_setup import start


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "split")
    ctx.prove()
    with progress_line.showing(progress_line.running("split")):
        everything, _ = storage.read(ctx.layout.prepared)
        keys = storage.input_keys(everything)
        by, where = part_assignment.assign(everything, ctx.params.split, keys)
        for name in PARTS:
            storage.write(ctx.layout.part(name), name, everything, where == name)
        found = report(everything, where, keys)
        files.write_text(ctx.layout.split_report, json.dumps(found, indent=2) + "\n")
    print(f"split: {', '.join(f'{size} {name}' for name, size in found['sizes'].items())}{_said(by, where, found)}")


def _said(by: str, where: NDArray[np.str_], found: dict[str, Any]) -> str:
    """How contiguous parts were cut, what lies in the gaps, and inputs that stand in more than one part."""
    if by == "content":
        return ""
    gaps, shared = int((where == contiguous_split.NOWHERE).sum()), {p: n["inputs"] for p, n in found["overlap"].items()}
    twice = "".join(f"; caution: {count} inputs stand in both of {pair}" for pair, count in shared.items() if count)
    return f" by {by}{f', {gaps} left out in gaps' if gaps else ''}{twice}"
