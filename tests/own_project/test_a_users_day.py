"""A user's day in a repository of his own: nothing of Assay lies in it, and Assay runs from where it is installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.project import build
from support.shop import Shop
from support.stages import stages
from support.weights import shapes

pytestmark = pytest.mark.extra  # a whole foreign project in an environment of its own

#: texts of the library → another text: the first is said by reports alone, the second decides what is trained
REPORTS = {"report/comparison_text.py": ('% CI"', '% INTERVAL"')}
TRAINING = {"replicates/replicate_seeds.py": ('key = f"', 'key = f"another root/')}
ARMS = ("baseline", "train", "evaluate")


def code(shop: Shop, stage: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(shop.project.read(f"context/code-{stage}.json"))["files"]
    return found


def did(said: str) -> list[str]:
    found = stages(said)
    return [found[name] for name in ARMS]


def width(shop: Shop, arm: str) -> int:
    """Of the hidden layer."""
    return max(shape[0] for shape in shapes(shop.project, arm) if len(shape) == 2)


def test_a_day(shop: Shop) -> None:
    project = shop.project
    said = shop.run("dvc", "exp", "run", "--name", "first").stdout
    assert project.metrics["verdict"] == "progress" and project.metrics["metric_version"].startswith("right-1.")
    assert "published" in said, "a stage of the user's own runs beside"
    assert code(shop, "prepare").keys() == {"tasks/rings/data.py", "../src/shapes/draw.py"}
    assert code(shop, "train").keys() == {"tasks/rings/learning.py", "../widths.py"}
    assert not (project.root.parent / "src/assay").exists()
    status = shop.run("assay", "status", ok=False).stdout
    assert f"{Path(shop.bin)}" in status and "is of another environment than this Assay" in status

    # Accepted, with what the tag needs to be held to; the section that Assay does not know is no obstacle.
    shop.run("assay", "accept", "first", "small")
    tag = project.git("cat-file", "tag", "strategy/small")
    assert "Assay-Contract: 1\n" in tag and "Assay-Library: 0.1.0" in tag and '"lr: 0.03"' in tag
    assert "detector" not in tag

    # A queued run has the code that it was queued with, wherever the package was installed from.
    (project.root.parent / "widths.py").write_text("FACTOR = 2\n", encoding="utf-8")
    project.edit("../src/shapes/draw.py", "default_rng(0)", "default_rng(1)")
    edited = shop.run("assay", "status", ok=False).stdout
    assert "prepare, train last ran with another ../src/shapes/draw.py, ../widths.py" in edited
    shop.run("dvc", "exp", "run", "--queue", "--name", "wider")
    project.git("checkout", "--quiet", "--", "..")
    shop.run("dvc", "exp", "run", "--run-all")
    shop.run("dvc", "exp", "apply", "wider")
    assert width(shop, "candidate") == 16 and width(shop, "baseline") == 8
    records = [
        json.loads(project.read(f"arms/{arm}.json"))["measurement"]["identity"] for arm in ("baseline", "candidate")
    ]
    assert records[0]["data"] != records[1]["data"], "drawn by its own draw.py"
    project.git("checkout", "--quiet", "--", "..")


def test_an_upgrade(shop: Shop, tmp_path: Path) -> None:
    """What reports say is scored again; what trains measures both arms again; put back, all is restored."""
    project = shop.project
    shop.run("dvc", "exp", "run", "--name", "first")
    shop.run("assay", "accept", "first", "small")
    assert did(shop.run("dvc", "exp", "run", "-S", "lr=0.02").stdout) == ["ran", "ran", "ran"]
    before = project.metrics

    reports = build(tmp_path / "reports", REPORTS)
    status = shop.run("assay", "status", ok=False, **reports).stdout
    assert "Assay changed since the last run: evaluate will run again; nothing is trained" in status
    done = shop.run("dvc", "exp", "run", **reports)
    assert did(done.stdout) == ["skipped", "skipped", "ran"] and "% INTERVAL" in done.stdout

    training = build(tmp_path / "training", TRAINING)
    status = shop.run("assay", "status", ok=False, **training).stdout
    assert "what trains changed, both arms are measured again (4 replicates each)" in status
    assert "strategy/small is stale: it was measured under" in status
    done = shop.run("dvc", "exp", "run", **training)
    assert did(done.stdout) == ["ran", "ran", "ran"]
    assert "strategy/small was accepted with" in done.stdout and "as today's Assay trains it" in done.stdout
    assert project.metrics["baseline"] != before["baseline"]

    assert did(shop.run("dvc", "exp", "run").stdout) == ["restored", "restored", "restored"]
    assert {**project.metrics, "commit": ""} == {**before, "commit": ""}


@pytest.mark.parametrize("name", ["torch", "click"])
def test_a_module_that_would_hide_what_a_stage_needs(shop: Shop, name: str) -> None:
    """Of a dependency of Assay as of one of the task; anything else may be called as it likes."""
    (shop.project.root / "tqdm_of_mine.py").write_text("", encoding="utf-8")
    (shop.project.root / f"{name}.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    done = shop.run("assay", "stage", "context", ok=False)
    assert done.returncode == 2 and f"{name}.py has the name of the package {name}" in done.stderr
    (shop.project.root / f"{name}.py").unlink()
    shop.run("assay", "stage", "context")


def test_a_module_from_another_work_tree_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A package of the repository outside of the folders where imports begin: a copy of the project would import the
    original."""
    top = shop.project.root.parent
    shutil.move(top / "src/shapes", top / "lib/shapes")
    shop.project.commit("move")
    own = {"PYTHONPATH": str(top / "lib")}
    (tmp_path / "beside").mkdir()
    shutil.copytree(top, tmp_path / "beside/shop", ignore=shutil.ignore_patterns("tmp"))
    copy = Shop(type(shop.project)(tmp_path / "beside/shop/rings", shop.project.home), shop.bin)
    copy.run("assay", "stage", "context", DVC_ROOT=str(top), **own)
    done = copy.run("assay", "stage", "prepare", ok=False, DVC_ROOT=str(top), **own)
    assert done.returncode == 4 and f"stage prepare imported {top / 'lib/shapes'}" in done.stderr
    assert "next: move it to the folder of dvc.yaml, to the top of the repository" in done.stderr
