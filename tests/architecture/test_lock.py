"""The committed dvc.lock: DVC warns of every output that it does not know, 25 lines in the first run of a clone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.core.yaml12 import parse

ROOT = Path(__file__).parents[2]


def outputs(stage: dict[str, Any]) -> Iterator[str]:
    for entry in (*stage.get("outs", ()), *stage.get("metrics", ()), *stage.get("plots", ())):
        yield entry if isinstance(entry, str) else next(iter(entry))


def test_it_knows_every_output() -> None:
    """Else: `python tests/walkthrough.py --update` renews it."""
    stages = parse((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    known = parse((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    for name, stage in stages.items():
        assert {*outputs(stage)} == {out["path"] for out in known.get(name, {}).get("outs", ())}, name
