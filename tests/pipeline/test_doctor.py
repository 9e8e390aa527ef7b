"""`assay doctor` on the project's own task: its report, its exit codes, and nothing changed."""

from __future__ import annotations

import json
import shutil

import pytest

from assay.commands.doctor import Examined
from support.project import Project


def test_on_the_task_and_on_a_broken_one(project: Project) -> None:
    shutil.rmtree(project.root / "data/split/test")  # closed: it need not be there
    before = project.git("status", "--porcelain", "--ignored")
    done = project.assay("doctor")
    assert done.stdout.startswith("doctor: 0 findings, ")
    project.edit(
        "src/tasks/digits/learning.py", "nn.Linear(width, outputs))", "nn.Linear(width, outputs), nn.Softmax(-1))"
    )
    done = project.assay("doctor", "--json", ok=False)
    assert done.returncode == 5
    first = json.loads(done.stdout)["findings"][0]
    assert (first["check"], first["level"], first["result"]) == ("loss-wants-logits", "error", "fail")
    project.git("checkout", "--", "src")
    assert project.git("status", "--porcelain", "--ignored") == before


def test_exit_codes() -> None:
    def found(*levels: str, result: str = "fail", code: int = 0) -> Examined:
        return Examined({"findings": [{"level": one, "result": result} for one in levels]}, code)

    assert [found("advice", "error").exit_code(one) for one in ("error", "warning", "never")] == [5, 5, 0]
    assert [found("warning").exit_code(one) for one in ("error", "warning", "never")] == [0, 5, 0]
    assert found("error", result="not run").exit_code("warning") == 0
    assert found("error", code=2).exit_code("never") == 2


def test_a_script_and_before_there_is_a_split(fresh: Project) -> None:
    refused = fresh.assay("doctor", ok=False)
    assert refused.returncode == 2 and "data/split/train is not there; next: dvc repro split" in refused.stderr
    assert not refused.stdout
    script = (
        "  name: digits\n  command: python train.py --seed {seed}\n"
        "  result: {file: '{out}/m.json', key: a, direction: maximize} "
    )
    fresh.edit("params.yaml", "  name: digits ", script)
    for words in ((), ("--ladder",)):
        refused = fresh.assay("doctor", *words, ok=False)
        assert refused.returncode == 2 and "call assay.doctor.examine in it" in refused.stderr


@pytest.mark.extra
def test_the_ladder_stops_at_the_first_step_that_fails(project: Project) -> None:
    """Three epochs are too few to beat the linear floor; twenty are enough, and nothing of the project changes."""
    before = project.git("status", "--porcelain", "--ignored")
    done = project.assay("doctor", "--ladder", ok=False)
    assert done.returncode == 5 and "\n3. fail  a nested sample of 500 examples beats the floors" in done.stdout
    project.edit("params.yaml", "  epochs: 3", "  epochs: 100")
    done = project.assay("doctor", "--ladder", "--vary", "model.hidden", "--json")
    found = json.loads(done.stdout)
    assert [one["result"] for one in found["steps"]] == ["pass"] * 4 and found["next"] == "dvc exp run"
    assert "model.hidden 43 " in found["steps"][3]["measured"] and "lr 0.009 " in found["steps"][3]["measured"]
    project.git("checkout", "--", "params.yaml")
    assert project.git("status", "--porcelain", "--ignored") == before


def test_vary_belongs_to_the_ladder(fresh: Project) -> None:
    refused = fresh.assay("doctor", "--vary", "lr", ok=False)
    assert refused.returncode == 2 and "next: assay doctor --ladder --vary lr" in refused.stderr
