"""`check_task` on tasks that each break one rule: the rule is named, with the offending value and what is allowed."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assay.core.errors import UsageError
from assay.testing import RULES, BrokenTaskError, check_task

TASK = '''
"""Rings: is a point inside?"""
import numpy as np
import torch
from torch import nn

def prepare(*, people=40, names=("far", "near")):
    chance = np.random.default_rng(0)
    points = chance.normal(size=(people, 2)).astype(np.float32)
    inside = (np.square(points).sum(1) < 1.2).astype(np.int64)
    return {"inputs": points, "targets": inside, "classes": list(names)}

def statistics(inputs):
    return {"mean": inputs.mean(0)}

def preprocess(inputs, statistics):
    return inputs - statistics["mean"]

def model(shape, outputs, *, hidden=4):
    return nn.Sequential(nn.Linear(shape[0], hidden), nn.Tanh(), nn.Dropout(0.5), nn.Linear(hidden, outputs))

def loss(outputs, targets):
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

def accuracy(targets, predictions):
    return float((predictions.argmax(1) == targets).mean())

METRICS = {"accuracy": {"function": accuracy, "direction": "maximize"}}
'''

#: sequences of unequal length, padded
COLLATE = '''
"""Sums: is the sum of a sequence positive?"""
import numpy as np
import torch
from torch import nn

seen = []

def prepare():
    chance = np.random.default_rng(0)
    rows = [chance.normal(size=2 + n % 3).astype(np.float32) for n in range(40)]
    return {"inputs": rows, "targets": np.array([int(row.sum() > 0) for row in rows]), "classes": ["no", "yes"]}

def collate(examples):
    longest = max(map(len, examples))
    return {"x": torch.stack([nn.functional.pad(one, (0, longest - len(one))) for one in examples])}

class Sums(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, inputs):
        return self.layer(inputs["x"].sum(1, keepdim=True))

def model(shape, outputs):
    return Sums()

def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)
'''

PARAMS: dict[str, Any] = {"train": {"batch_size": 8}, "lr": 0.01}


def broken(folder: Path, text: str, params: dict[str, Any] | None = None, **more: Any) -> str:
    """All that is said of a task."""
    (folder / "task.py").write_text(text, encoding="utf-8")
    with pytest.raises(BrokenTaskError) as caught:
        check_task(folder / "task.py", {**PARAMS, **(params or {})}, **more)
    return str(caught.value)


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


Edits = list[tuple[str, str]]
JOINT = ('inputs - statistics["mean"]', "inputs - inputs.mean(0)")
CENTRED = (
    "class Centred(nn.Sequential):\n    def forward(self, x):\n        y = super().forward(x)\n"
    "        return y - y.mean(0)\n\n"
)
UPHILL = "def optimizer(parameters, settings):\n    return torch.optim.SGD(parameters, settings.lr, maximize=True)\n\n"

#: quick ones, as the first rules end them: rule, edits of TASK, what is said
EARLY: list[tuple[str, Edits, str]] = [
    ("members", [("def loss(", "def los(")], "task.py defines no loss"),
    ("members", [("import torch\n", "import torch\nimport nowhere\n")], "No module named 'nowhere'"),
    ("members", [("def preprocess(inputs, statistics)", "def preprocess(inputs)")], "preprocess(inputs) cannot be"),
    ("prepare", [('"inputs": points', '"inputs": np.where(points > 1, np.inf, points)')], "contains inf"),
    (
        "split",
        [('    return {"inputs": points', '    return {"order": range(people), "inputs": points.round() + 3')],
        "inputs lie in both train and validation; allowed: each in one part; next: drop copies",
    ),
]

#: those that train first
LATE: list[tuple[str, Edits, str]] = [
    ("ids", [("chance.normal(", "np.random.normal(")], "allowed: the same ids in the same order; next: seed"),
    ("train", [(".mean()\n\ndef acc", "\n\ndef acc")], "loss() returns (8, 1); allowed: a scalar Tensor"),
    ("train", [("(hidden, outputs)", "(hidden, outputs + 1)")], "predictions have shape (8, 3)"),
    (
        "determinism",
        [("    return nn.Seq", "    torch.default_generator.seed()\n    return nn.Seq")],
        "training one replicate twice gives other weights the second time; allowed: the same bits",
    ),
    (
        "determinism",
        [("    return float(", "    predictions[:] = 0\n    return float(")],
        "metric accuracy changes the predictions that it is given",
    ),
    (
        "preprocess",
        [(JOINT[0], "inputs if len(inputs) == 1 else inputs[:, :1]")],
        "the shape (2,) alone, (1,) among",
    ),
    ("preprocess", [(JOINT[0], "inputs.sub_(3)")], "changes the inputs that it is given; allowed: a new Tensor"),
    ("learning", [("def loss(", f"{UPHILL}def loss(")], "such as detach(), argmax() or another sign"),
    ("train", [(".mean()\n\ndef acc", ".mean() * torch.nan\n\ndef acc")], "at epoch 1, step 1: loss is not finite"),
    ("evaluate", [("float((", "np.nan * float((")], "metric accuracy gives nan for the replicate; allowed: a finite"),
]


def state() -> list[Any]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("TORCH", "KMP"))}
    return [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(), variables]


def seen(folder: Path, rule: str, edits: Edits, said: str) -> None:
    before = state()
    found = broken(folder, edited(TASK, *edits))
    assert any(said in line for line in found.split("\n") if line.startswith(f"! {rule}: ")), found
    assert state() == before and "task" not in sys.modules


@pytest.mark.parametrize(("rule", "edits", "said"), EARLY)
def test_a_broken_rule_that_ends_the_rest(rule: str, edits: Edits, said: str, tmp_path: Path) -> None:
    seen(tmp_path, rule, edits, said)


@pytest.mark.extra
@pytest.mark.parametrize(("rule", "edits", "said"), LATE)
def test_a_broken_rule_after_training(rule: str, edits: Edits, said: str, tmp_path: Path) -> None:
    seen(tmp_path, rule, edits, said)


def test_all_failures_at_once(tmp_path: Path) -> None:
    """Ids, preprocessing, the model, the loss and the metric are wrong: each has its sentence."""
    edits = [
        ("default_rng(0)", "default_rng()"),
        JOINT,
        ("def model", f"{CENTRED}def model"),
        ("nn.Sequential(nn.L", "Centred(nn.L"),
        ("-outputs.log", "-(outputs.detach() + 0 * outputs).log"),
        ("float((", "np.random.rand() + float(("),
    ]
    lines = broken(tmp_path, edited(TASK, *edits)).split("\n")
    assert lines[0] == "check_task: task.py breaks 6 of 11 rules" and lines[-1].startswith(
        "not asked: workers, as there"
    )
    said = {
        "ids": "prepare() gives other examples the second time: 40 of 40 ids differ, the first at row 0; allow",
        "preprocess": "preprocess() gives example 0 other values alone than among 16 (",
        "batches": "the model gives example 0 another output alone than among 16 in evaluation mode (",
        "learning": "20 steps on one batch of 8 do not lower its loss (lr 0.003: ",
        "determinism": "the second time; allowed: the same number for the same predictions; next: seed what it draws",
        "side effects": "evaluating changes NumPy's global generator; allowed: a generator of its own, such as numpy",
    }
    for rule, sentence in said.items():
        assert any(line.startswith(f"! {rule}: ") and sentence in line for line in lines), (rule, lines)


def test_side_effects_are_named_and_taken_back(tmp_path: Path) -> None:
    edits = [
        ("from torch import nn\n", "from torch import nn\nimport os\ntorch.manual_seed(0)\n"),
        (
            "    points =",
            "    np.random.seed(0); os.environ['KEPT'] = '1'; os.chdir('..'); names.append('x')\n    points =",
        ),
        ("    return nn.Seq", "    open('weights.txt', 'w').close(); torch.manual_seed(3)\n    return nn.Seq"),
        ("list(names)", "list(names[:2])"),
    ]
    before = state()
    found = broken(tmp_path, edited(TASK, *edits), {"data": {"names": ["far", "near"]}})
    assert state() == before and Path.cwd() != tmp_path
    for sentence in (
        "importing task.py changes torch's global generator; allowed: a generator of its own, such as torch.Generator",
        "prepare() changes NumPy's global generator",
        "prepare() changes KEPT in the environment; allowed: variables as they were",
        f"prepare() changes the current folder to {tmp_path.parent}; allowed: the folder of dvc.yaml",
        "prepare() changes its parameters: data is {'names': ['far', 'near', 'x']}; allowed: {'names': ['far', 'near",
        "training writes weights.txt in the project; allowed: no file there",
        "model() seeds torch's global generator itself; allowed: no torch.manual_seed(): it is seeded already",
    ):
        assert f"! side effects: {sentence}" in found or f"! side effects: task.py: {sentence}" in found, (
            sentence,
            found,
        )


COUNTED = ("    longest", "    seen.append(1)\n    longest")
DRAWN = "def decode(example):\n    return torch.as_tensor(example) + torch.rand(())\n\n"


@pytest.mark.extra
def test_batches_of_unequal_examples(tmp_path: Path) -> None:
    """In a task that pads in front, keeps count of its batches and changes nothing by it."""
    front = ("(0, longest - len(one))", "(longest - len(one), 0)")
    (tmp_path / "task.py").write_text(edited(COLLATE, COUNTED, front), encoding="utf-8")
    report = check_task(tmp_path, PARAMS)
    assert report.not_asked == {"preprocess": "there is no preprocess()"} and "workers" in report.passed


@pytest.mark.extra
@pytest.mark.parametrize(
    ("rule", "edits", "said"),
    [
        (
            "workers",
            [COUNTED, ("torch.stack([", "len(seen) * torch.stack([")],
            "collate() gives batch 0 other values in 2 loading processes than in none; allowed: the same",
        ),
        (
            "batches",
            [("for one in examples])", "for one in examples]) / longest")],
            "collate() gives example 0 other values alone than among 16 in 'x' (",
        ),
        ("batches", [('{"x"', '{"y": torch.zeros(3), "x"')], "collate() gives {'y': 3} rows for 16 examples"),
        ("batches", [("def collate", f"{DRAWN}def collate")], "decode() gives example 0 other values the second time"),
    ],
)
def test_broken_batches_of_unequal_examples(rule: str, edits: Edits, said: str, tmp_path: Path) -> None:
    found = broken(tmp_path, edited(COLLATE, *edits))
    assert any(said in line for line in found.split("\n") if line.startswith(f"! {rule}: ")), found


def test_what_is_no_task(tmp_path: Path) -> None:
    for named, said in (
        (tmp_path, "holds no params.yaml and no task.py; allowed: a project, a task.py, tasks/NAME"),
        (tmp_path / "other.py", "is no task; allowed"),
        ("assay.ready.sounds", "there is no ready task 'assay.ready.sounds'"),
    ):
        with pytest.raises(UsageError) as caught:
            check_task(named)
        assert said in str(caught.value)
    with pytest.raises(UsageError, match=r"there is no rule 'speed'; allowed: members, prepare"):
        check_task(tmp_path, skip=["speed"])
    (tmp_path / "task.py").write_text(TASK, encoding="utf-8")
    with pytest.raises(UsageError, match=r"unknown parameter 'train.bach'"):
        check_task(tmp_path, {"train": {"bach": 1}})
    assert set(RULES) > {"learning", "side effects"}
