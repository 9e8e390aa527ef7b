"""prepare: whatever the task has → canonical raw examples with stable ids, and a data card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from assay.data import examples, repeated
from assay.data.canonical import canonical
from assay.data.card import card
from assay.outside import files, remembered, task_source
from assay.outside.start import start

CARD = "card.json"


def main(root: Path, _arguments: Sequence[str], _protocol: int) -> None:
    begun = start(root, "prepare")
    module = begun.task("data")
    with begun.said_by_task("data"):
        raw = module.prepare(**begun.params.data)
    found = canonical(raw, f"src/tasks/{begun.params.task.name}/data.py")
    content = examples.write(begun.layout.prepared, "all", found).content
    described = card(found)
    files.write_text(begun.layout.prepared / CARD, json.dumps(described, indent=2) + "\n")
    kind = f"{len(found.classes)} classes" if found.classes else "regression"
    print(
        f"prepare: {len(found)} examples of shape {tuple(found.inputs.shape[1:])}, {kind}, "
        f"{described['exact_duplicates']} exact duplicates"
    )
    remembered.load(begun.run.store.sources)
    source = task_source.path(root, begun.params.task.name, "data")
    if repeated.otherwise(root, source, begun.params.data, begun.dependencies, content):
        print(repeated.NOTE)
    remembered.save(begun.run.store.sources)
