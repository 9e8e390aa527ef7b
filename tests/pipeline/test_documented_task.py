"""docs/tasks.md is a task: its code blocks, as they stand there, give a verdict."""

from __future__ import annotations

import json

import pytest

from support import rings
from support.project import Project


@pytest.mark.extra
def test_the_task_of_the_page(fresh: Project) -> None:
    loop = rings.write(fresh, epochs=20)
    fresh.commit("rings")
    said = fresh.dvc("exp", "run").stdout
    assert "prepare: 600 examples of shape (2,), 2 classes" in said
    assert fresh.metrics["verdict"] == "progress" and fresh.metrics["baseline"] == 0.5
    report = json.loads(fresh.read("data/split/report.json"))
    assert all(shared == {"inputs": 0, "groups": 0} for shared in report["overlap"].values())

    (fresh.root / "src/tasks/rings/learning.py").write_text(loop, encoding="utf-8")
    for stage in ("context", "train", "evaluate"):
        fresh.stage(stage)
    assert {row["execution"] for row in fresh.replicates("candidate")} == {"task"}
    assert float(fresh.metrics["balanced"]) > 0.85  # type: ignore[arg-type]
