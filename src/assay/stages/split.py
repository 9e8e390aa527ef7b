"""split: canonical examples → train, validation and test, by content; overlap and drift into a report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from assay.core.paths import PARTS
from assay.data import storage
from assay.data.train_test_split import assign, report
from assay.runtime import files, progress_line
from assay.runtime.stage_setup import start


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "split")
    ctx.prove()
    with progress_line.showing(progress_line.running("split")):
        everything, _ = storage.read(ctx.layout.prepared)
        keys = storage.input_keys(everything)
        where = assign(everything, ctx.params.split.validation, ctx.params.split.test, keys)
        for name in PARTS:
            storage.write(ctx.layout.part(name), name, everything, where == name)
        found = report(everything, where, keys)
        files.write_text(ctx.layout.split_report, json.dumps(found, indent=2) + "\n")
    print(f"split: {', '.join(f'{size} {name}' for name, size in found['sizes'].items())}")
