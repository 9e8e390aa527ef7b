"""docs/tasks.md is a task: its code blocks, as they stand there, give a verdict."""

from __future__ import annotations

import json
import re

import pytest

from support.project import CHECKOUT, Project


@pytest.mark.extra
def test_the_task_of_the_page(fresh: Project) -> None:
    page = (CHECKOUT / "docs/tasks.md").read_text(encoding="utf-8")
    _alone, data, network, loop, metrics = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for name, text in (("data", data), ("learning", network), ("metrics", metrics)):
        file = fresh.root / f"src/tasks/rings/{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    text = re.sub(r"name: digits\b", "name: rings", fresh.read("params.yaml"))
    text = re.sub(r"name: accuracy\b", "name: balanced", text)
    text = re.sub(r"^  (layers|dropout): .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^  epochs: 3\b", "  epochs: 20", text, flags=re.MULTILINE)
    text = re.sub(r"^( +)hidden: \d+", r"\1hidden: 16", text, flags=re.MULTILINE)
    (fresh.root / "params.yaml").write_text(text, encoding="utf-8")
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
