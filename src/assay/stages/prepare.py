"""prepare: whatever the task has → canonical raw examples with stable ids, and a data card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from assay.data import examples
from assay.data.canonical import canonical
from assay.data.card import card
from assay.outside import files
from assay.outside.start import start

CARD = "card.json"


def main(root: Path, _arguments: Sequence[str], _protocol: int) -> None:
    begun = start(root, "prepare")
    module = begun.task("data")
    with begun.said_by_task("data"):
        raw = module.prepare(**begun.params.data)
    found = canonical(raw, f"src/tasks/{begun.params.task.name}/data.py")
    examples.write(begun.layout.prepared, "all", found)
    described = card(found)
    files.write_text(begun.layout.prepared / CARD, json.dumps(described, indent=2) + "\n")
    kind = f"{len(found.classes)} classes" if found.classes else "regression"
    print(
        f"prepare: {len(found)} examples of shape {tuple(found.inputs.shape[1:])}, {kind}, "
        f"{described['exact_duplicates']} exact duplicates"
    )
