"""A task.py: each part of it counts by what its members reach, and a metric has the key that it has in a folder."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.metrics.version.version_key import metric_version
from assay.runtime import import_closure, task_code, task_source
from assay.training.task_interface import MEMBERS

METRIC = """import numpy as np

REVISION = 2


def right(targets, predictions):
    return float(np.mean(predictions.argmax(axis=1) == targets))


def wrong(targets, predictions):
    return 1.0 - right(targets, predictions)


METRICS = {
    "right": {"function": right, "direction": "maximize", "min_effect": 0.01},
    "wrong": {"function": wrong, "direction": "minimize"},
}
"""
TASK = f'''"""A whole task."""

import numpy as np
import torch
from torch import nn

import blocks


def prepare(*, n: int = 10):
    return {{"inputs": _points(n), "targets": np.zeros(n)}}


def _points(n):
    return np.zeros((n, 2))


class Net(nn.Module):
    width = 8

    def forward(self, inputs):
        return inputs


def model(shape, outputs):
    return nn.Sequential(Net(), blocks.Block(outputs))


def loss(outputs, targets):
    return outputs.mean()


{METRIC}'''
BLOCKS = """from torch import nn


class Block(nn.Linear):
    bias = 0


def unused():
    return 1
"""
PARTS = tuple(task_code.MEMBERS)
ALL = set(PARTS)


def write(root: Path, task: str = TASK, blocks: str = BLOCKS) -> Path:
    root.mkdir(exist_ok=True)
    (root / "task.py").write_text(task, encoding="utf-8")
    (root / "blocks.py").write_text(blocks, encoding="utf-8")
    return root


def code(root: Path) -> dict[str, str]:
    return {part: task_code.digest(root, "rings", part) for part in PARTS}


def key(root: Path, name: str = "right", task: str = "rings") -> str:
    return metric_version(
        partial(import_closure.read_module, root),
        task_source.module(root, task, "metrics"),
        name,
        2,
        "0a1b",
        {},
        label=task_source.label(root, task, "metrics"),
    )


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("np.zeros((n, 2))", "np.ones((n, 2))", {"data"}),
        ("width = 8", "width = 16", {"learning"}),
        ("outputs.mean()", "outputs.sum()", {"learning"}),
        ("1.0 - right", "2.0 - right", {"metrics"}),
        ('"min_effect": 0.01', '"min_effect": 0.02', {"metrics"}),
        ("REVISION = 2", "REVISION = 3", {"metrics"}),
        ("def _points(n):", "def _points(n):  # in the plane", set()),
        ("def loss(", "def spare():\n    return 3\n\n\ndef loss(", set()),
        (
            "import blocks\n",
            "import blocks\n\ntorch.set_default_dtype(torch.float64)\n",
            ALL,
        ),
        ("import blocks\n", "import blocks\n\nDEVICE = torch.device('cpu')\n", ALL),
        ("class Net(", "@torch.jit.script\nclass Net(", ALL),
        ('"targets": np', '"targets": globals()["np"]', {"data"}),
        ("return outputs.mean()", "return globals()['_points'](1)", {"learning"}),
    ],
)
def test_an_edit_changes_the_parts_that_reach_it(tmp_path: Path, old: str, new: str, changed: set[str]) -> None:
    assert old in TASK
    before, after = code(write(tmp_path / "a")), code(write(tmp_path / "b", TASK.replace(old, new)))
    assert {part for part in PARTS if before[part] != after[part]} == changed


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("bias = 0", "bias = 1", {"learning"}),
        ("return 1", "return 2", set()),
        ("bias = 0\n", "bias = 0\n\n\nnn.Block = Block\n", ALL),
        ("bias = 0\n", "bias = 0\n\n    def __init_subclass__(cls):\n        pass\n", ALL),
    ],
)
def test_an_edit_of_what_it_imports(tmp_path: Path, old: str, new: str, changed: set[str]) -> None:
    before, after = code(write(tmp_path / "a")), code(write(tmp_path / "b", blocks=BLOCKS.replace(old, new)))
    assert {part for part in PARTS if before[part] != after[part]} == changed


def test_what_a_part_reaches_is_shown_without_the_rest(tmp_path: Path) -> None:
    root = write(tmp_path)
    found = task_code.texts(root, "rings", ["learning"])
    assert found.keys() == {"task.py", "blocks.py"}
    assert "class Net" in found["task.py"] and "import blocks" in found["task.py"]
    assert not any(name in found["task.py"] for name in ("prepare", "METRICS", "right"))
    assert "unused" not in found["blocks.py"]


def test_every_file_that_is_imported_is_listed_for_every_stage(tmp_path: Path) -> None:
    """Git must know them all: importing task.py runs them, whichever part is wanted."""
    root = write(tmp_path)
    assert all(task_code.hashes(root, "rings", part).keys() == {"task.py", "blocks.py"} for part in PARTS)


@pytest.mark.parametrize("name", ["right", "wrong"])
def test_the_key_of_a_metric_is_that_of_a_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder/src/tasks/rings"
    folder.mkdir(parents=True)
    (folder / "metrics.py").write_text(METRIC, encoding="utf-8")
    root = write(tmp_path / "one")
    assert key(root, name) == key(tmp_path / "folder", name)
    write(root, TASK.replace("width = 8", "width = 9"))
    assert key(root, name) == key(tmp_path / "folder", name), "the model beside it is none of the ruler"
    write(root, TASK.replace("return float(np.mean", "return -float(np.mean"))
    assert key(root, name) != key(tmp_path / "folder", name)
    assert key(root, name, "circles") != key(root, name), "as a folder of another name"


def test_a_table_that_an_effect_changes_counts_whole(tmp_path: Path) -> None:
    root = write(tmp_path, TASK + '\nMETRICS["right"].update(METRICS["wrong"])\n')
    before = key(root)
    write(root, TASK.replace("1.0 - right", "2.0 - right") + '\nMETRICS["right"].update(METRICS["wrong"])\n')
    assert key(root) != before


def test_the_digits_of_one_file_keep_their_key(tmp_path: Path) -> None:
    digits = Path(__file__).parents[2] / "src/tasks/digits"
    first = "from __future__ import annotations\n"
    texts = [(digits / f"{name}.py").read_text(encoding="utf-8").replace(first, "") for name in PARTS]
    (tmp_path / "one").mkdir()
    (tmp_path / "one/task.py").write_text(first + "".join(texts), encoding="utf-8")
    shutil.copytree(digits, tmp_path / "folder/src/tasks/digits")
    assert key(tmp_path / "one", "accuracy", "digits") == key(tmp_path / "folder", "accuracy", "digits")


def test_every_member_that_training_looks_for_has_its_part() -> None:
    assert set(MEMBERS) <= set(task_code.MEMBERS["learning"])


@pytest.mark.parametrize("where", ["task.py", "src/task.py", "../task.py", "../src/task.py"])
def test_where_it_is_looked_for(tmp_path: Path, where: str) -> None:
    (tmp_path / ".git").mkdir()
    root = tmp_path / "vision"
    (root / where).resolve().parent.mkdir(parents=True, exist_ok=True)
    root.mkdir(exist_ok=True)
    (root / where).write_text(TASK, encoding="utf-8")
    assert [task_source.where(root, "any", part) for part in PARTS] == [where] * 3
    assert task_source.read(root, "any", "metrics").path == root / where


def test_both_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "src/tasks/rings").mkdir(parents=True)
    (root / "src/tasks/rings/metrics.py").write_text(METRIC, encoding="utf-8")
    for part in PARTS:
        with pytest.raises(UsageError, match=r"the task is both task.py and src/tasks/rings") as error:
            task_source.read(root, "rings", part)
        assert "next: git rm -r src/tasks/rings, or git mv task.py" in error.value.sentence
    assert task_source.is_single(root, "circles"), "another task's folder is no rival"


def test_a_refusal_names_the_line(tmp_path: Path) -> None:
    root = write(tmp_path)
    source = task_source.read(root, "any", "data")
    with pytest.raises(UsageError, match=r"task.py:10: prepare\(\)"):
        task_source.check_options(source, "prepare", {"m": 3}, "data")
    for line in ("from assay.ready.table import loss, model, prepare\n", "from assay.ready.table import *\n"):
        (root / "task.py").write_text(line, encoding="utf-8")
        source = task_source.read(root, "any", "learning")
        with pytest.raises(UsageError, match=r"unknown parameter 'model.width'; allowed: hidden, dropout \("):
            task_source.check_options(source, "model", {"width": 3}, "model")
        task_source.check_options(source, "model", {"hidden": 3}, "model")
        with pytest.raises(UsageError, match=r"lacks data.target, which assay/ready/table.py:\d+: prepare\(\) needs"):
            task_source.check_options(source, "prepare", {"file": "x.csv"}, "data")
    (root / "task.py").write_text("def prepare(:\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"task.py:1 does not parse"):
        task_source.read(root, "any", "data")
