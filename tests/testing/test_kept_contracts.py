"""Tasks that keep their contract, in every form that a task has: what is asked of each, and what is not, and why."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.testing import RULES, ContractReport, check_task, task_under_test
from support.project import CHECKOUT, Project
from testing.test_broken_tasks import PARAMS, TASK, edited

NO_LOADERS = {"workers": "there is no collate(): no process loads batches"}
OWN_LOOP = '''
def fit(params, data, seed, log):
    """Probabilities of a majority."""
    share = np.bincount(np.asarray(data.train.targets), minlength=2) / len(data.train.targets)
    return lambda inputs: np.tile(share, (len(inputs), 1)).astype(np.float32)
'''


def checked(folder: Path, text: str, params: dict[str, Any] | None = None) -> ContractReport:
    (folder / "task.py").write_text(text, encoding="utf-8")
    return check_task(folder, {**PARAMS, **(params or {})})


def test_the_digits() -> None:
    """By the folder of the task; nothing of the project is imported afterwards that was not before."""
    before = {name for name in sys.modules if name.startswith("tasks")}
    found = check_task(CHECKOUT / "src/tasks/digits", {"model": {"hidden": 16}, "train": {"batch_size": 16}})
    assert set(found.passed) == RULES.keys() - NO_LOADERS.keys() and found.not_asked == NO_LOADERS
    assert str(found).startswith(
        "check_task: src/tasks/digits/learning.py keeps 11 rules\nnot asked: workers, as there"
    )
    assert {name for name in sys.modules if name.startswith("tasks")} == before


def test_a_loop_of_its_own_and_rules_to_skip(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(TASK + OWN_LOOP, encoding="utf-8")
    found = check_task(str(tmp_path / "task.py"), PARAMS, skip=["ids"])
    assert dict(found.not_asked) == {
        "ids": "it is to be skipped",
        **dict.fromkeys(("preprocess", "batches", "workers", "learning"), "fit() is a loop of its own"),
    }
    assert {"determinism", "train", "evaluate", "side effects"} < set(found.passed)


def test_the_plug_in_imports_nothing_until_it_is_asked() -> None:
    code = "import pytest, sys; known = set(sys.modules); import assay.pytest_plugin; print({*sys.modules} - known)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True).stdout
    assert ast.literal_eval(said) - {"importlib"} == {"assay", "assay.pytest_plugin"}


@pytest.mark.extra
@pytest.mark.parametrize("name", ["table", "regression", "text", "tokens", "masks", "image_folder"])
def test_every_ready_task(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a module, on small data in the current folder."""
    monkeypatch.chdir(tmp_path)
    data, model = made(name)
    module = importlib.import_module(f"assay.ready.{name.replace('regression', 'table')}")
    before = sorted(tmp_path.rglob("*"))
    found = check_task(module, {"data": data, "model": model, "train": {"batch_size": 16}})
    assert not found.broken and {"learning", "determinism", "ids", "batches", "side effects"} < set(found.passed)
    assert sorted(tmp_path.rglob("*")) == before and Path.cwd() == tmp_path


def made(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data for a ready task in the current folder: parameters of its prepare() and model()."""
    chance = np.random.default_rng(0)
    if name in ("table", "regression"):
        rows = [
            f"{a:.3f},{'red' if a > b else 'blue'},{b:.3f},{'yes' if a * b > 0 else 'no'}"
            for a, b in chance.normal(size=(80, 2))
        ]
        Path("rows.csv").write_text("\n".join(["size,colour,price,label", *rows]), encoding="utf-8")
        return {"file": "rows.csv", "target": "price" if name == "regression" else "label"}, {"hidden": 8}
    if name == "text":
        words = {"good": "fine warm bright", "bad": "cold dull grey"}
        lines = [
            f"{' '.join(chance.choice(said.split(), 4))} {row},{label}"
            for row in range(30)
            for label, said in words.items()
        ]
        Path("said.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
        return {"file": "said.csv"}, {"width": 4}
    if name == "tokens":
        Path("book.txt").write_text("".join(chance.choice([*"abcdefgh "], 900)), encoding="utf-8")
        return {"file": "book.txt", "length": 12}, {"width": 8}
    image = pytest.importorskip("PIL.Image")
    for row in range(40):
        mask = np.zeros((12, 12), dtype=np.uint8)
        mask[row % 6 : row % 6 + 5, 3:8] = 1
        pixels = image.fromarray((mask[..., None] * 120 + chance.integers(0, 90, (12, 12, 3))).astype(np.uint8))
        place = Path("cats" if row % 2 else "dogs") if name == "image_folder" else Path("images")
        Path("photos", place).mkdir(parents=True, exist_ok=True)
        pixels.save(Path("photos", place, f"{row}.png"))
        Path("masks").mkdir(exist_ok=True)
        image.fromarray(mask).save(Path("masks", f"{row}.png"))
    if name == "masks":
        return {"images": "photos/images", "masks": "masks", "classes": ["off", "on"], "size": 8}, {"width": 4}
    return {"folder": "photos", "size": 16}, {"width": 4}


@pytest.mark.extra
def test_targets_of_several_kinds_and_scores(tmp_path: Path) -> None:
    """Several targets an example; one whose scores are kept; values."""
    several = edited(
        TASK,
        ('"targets": inside, "classes": list(names)', '"targets": {"inside": inside, "far": points[:, 0]}'),
        ("outputs, *, hidden=4", "outputs, *, hidden=4, heads=3"),
        ("nn.Linear(hidden, outputs)", "nn.Linear(hidden, heads)"),
        (
            "    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()",
            "    return (outputs[:, 2] - targets['far']).square().mean()",
        ),
        ("(predictions.argmax(1) == targets).mean()", "-np.abs(predictions[:, 2] - targets['far']).mean()"),
    )
    assert "learning" in checked(tmp_path, several).passed
    scored = edited(
        TASK,
        (
            "def accuracy",
            "def score(outputs, targets):\n    return (outputs.argmax(1) == targets).float()\n\ndef accuracy",
        ),
        ('"function": accuracy, ', ""),
    )
    assert "evaluate" in checked(tmp_path, scored).passed
    values = edited(
        TASK,
        ('inside, "classes": list(names)', "points[:, 0]"),
        ("-outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1))", "(outputs[:, 0] - targets).square()"),
    )
    values = values.partition("def accuracy")[0]  # and no metric: the ready one for values
    assert "evaluate" in checked(tmp_path, values).passed


@pytest.mark.extra
def test_modules_of_one_name_in_two_projects(tmp_path: Path) -> None:
    """A helper beside each task.py: each project gets its own, and whoever had one before keeps it."""
    for place, width in (("one", 3), ("two", 5)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "widths.py").write_text(f"WIDTH = {width}\n", encoding="utf-8")
        text = edited(
            TASK, ("import torch\n", "import torch\nfrom widths import WIDTH\n"), ("hidden=4", "hidden=WIDTH")
        )
        report = checked(tmp_path / place, text)
        assert not report.broken and "widths" not in sys.modules


def test_a_folder_with_the_name_of_a_package_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy/__init__.py").write_text("", encoding="utf-8")
    with task_under_test.imported_afresh(tmp_path):
        assert sys.modules["numpy"] is np


@pytest.mark.extra
def test_the_fixture_in_a_users_pytest(fresh: Project, tmp_path: Path) -> None:
    """Found from wherever a test lies; members, the metric with its options, a sentence for what is not there."""
    (fresh.root / "tests").mkdir()
    (fresh.root / "tests/test_digits.py").write_text(FIXTURE, encoding="utf-8")
    before = fresh.git("status", "--porcelain")
    known = [] if "assay" in plugins() else ["-p", "assay.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *known, str(fresh.root / "tests")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", env={**os.environ})
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert fresh.git("status", "--porcelain") == before


def plugins() -> set[str]:
    return {one.name for one in importlib.import_module("importlib.metadata").entry_points(group="pytest11")}


FIXTURE = """
import numpy as np
import pytest


def test_members_and_metric(assay_task):
    assert assay_task.preprocess.__module__ == "tasks.digits.learning" and assay_task.METRICS["accuracy"]
    assert assay_task.metric(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])) == 0.5
    assert assay_task.params.lr > 0 and (assay_task.root / "dvc.yaml").is_file()
    with pytest.raises(AttributeError, match=r"the task 'digits' has no collate\\(\\): it leaves the default"):
        assay_task.collate
    with pytest.raises(ValueError):
        raise ValueError


def test_what_a_broken_task_shows(assay_task):
    with pytest.raises(AssertionError, match="check_task: src/tasks/digits/learning.py breaks 1 of"):
        assay_task.check({"model": {"hiden": 3}})
"""


def test_a_contract_is_held_on_the_cpu_and_compiles_nothing(tmp_path: Path) -> None:
    """Unless params.yaml names a device, or the test asks for one."""
    file = "lr: 0.1\nreplicates: 9\nseed: 1\nmetric: {name: a}\nmachine: {device: auto, compile: true}\n"
    (tmp_path / "params.yaml").write_text(file, encoding="utf-8")
    found = task_under_test.parameters(tmp_path, "rings", {"lr": 0.2}).machine
    assert (found.device, found.compile) == ("cpu", False)
    (tmp_path / "params.yaml").write_text(file.replace("auto", "cuda:1"), encoding="utf-8")
    asked = task_under_test.parameters(tmp_path, "", {"machine": {"compile": True}})
    assert (asked.machine.device, asked.machine.compile, asked.lr, asked.metric.name) == ("cuda:1", True, 0.1, "a")
