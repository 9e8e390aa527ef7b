"""Options of the training recipe on small problems where they should help, each judged by a verdict: docs/recipe.md.

    python benchmarks/recipe_verdicts.py [NAME …] [--draw N]

Digits of scikit-learn, made harder in one way a row: few examples, wrong labels, rare classes. 20 replicates an arm at
most, looked at after 5, 10 and 20 as a declared plan (5 % over all looks). Seeds of both arms are apart. Rows were
chosen by draw 0: another draw has other examples, other faults in them and other seeds, which nobody had seen before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML
from sklearn.datasets import load_digits
from tabulate import tabulate

from assay.core.schemas import MeasureRequest
from assay.data.storage import Examples, write
from assay.stats import sequential_testing
from assay.stats.arm_comparison import compare
from assay.training.train_and_predict import measure

Array = NDArray[Any]
LOOKS = [5, 10, 20]
NETS = {
    "images": """
import torch
from torch import Tensor, nn

def model(shape, outputs, hidden=32):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

def preprocess(inputs):
    return inputs / 16
""",
    "values": """
import torch
from torch import Tensor, nn

def model(shape, outputs, hidden=32):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs.reshape(targets.shape) - targets) ** 2).mean()

def preprocess(inputs):
    return inputs / 16
""",
}


@dataclass(frozen=True)
class Row:
    """One comparison: how digits are changed, both arms' parameters, the metric and its direction."""

    name: str
    problem: str
    data: Callable[[np.random.Generator, Array, Array], tuple[Array, Array]]
    option: Mapping[str, Any]
    metric: str
    common: Mapping[str, Any] = field(default_factory=dict)
    net: str = "images"
    everywhere: bool = False  # validation is changed as the training examples are
    moved: bool = False  # images of validation are moved by a pixel at random


def few(count: int) -> Callable[[np.random.Generator, Array, Array], tuple[Array, Array]]:
    return lambda _rng, inputs, targets: (inputs[:count], targets[:count])


def wrong(share: float, count: int) -> Callable[[np.random.Generator, Array, Array], tuple[Array, Array]]:
    def changed(rng: np.random.Generator, inputs: Array, targets: Array) -> tuple[Array, Array]:
        inputs, targets = inputs[:count], targets[:count].copy()
        rows = rng.choice(count, round(share * count), replace=False)
        targets[rows] = rng.integers(0, 10, len(rows))
        return inputs, targets

    return changed


def rare(rng: np.random.Generator, inputs: Array, targets: Array) -> tuple[Array, Array]:
    """Every class from 5 on keeps one example in twenty."""
    kept = (targets < 5) | (rng.uniform(size=len(targets)) < 0.05)
    return inputs[kept], targets[kept]


def outliers(rng: np.random.Generator, inputs: Array, targets: Array) -> tuple[Array, Array]:
    """The value is the digit; one in twenty is fifty too large."""
    values = targets[:600].astype(np.float32)
    values[rng.choice(600, 30, replace=False)] += 50
    return inputs[:600], values


TRAIN = {"epochs": 30, "batch_size": 32, "optimizer": "adam"}
#: trained until the training examples are known by heart
LONG = {"train": {"epochs": 60}, "model": {"hidden": 128}}
CROSS = {"loss": {"name": "cross_entropy"}}
SMOOTH = {"loss": {"name": "cross_entropy", "options": {"label_smoothing": 0.1}}}
BALANCED = {"loss": {"name": "cross_entropy", "options": {"class_weights": "balanced"}}}
SHIFT = {"train": {"augment": {"shift": 0.125}}}
ROWS = [
    Row(
        "schedule: cosine",
        "600 examples, lr 0.05",
        few(600),
        {"train": {"schedule": "cosine"}},
        "log_loss",
        {"lr": 0.05},
    ),
    Row("schedule: cosine", "the same, lr 0.003", few(600), {"train": {"schedule": "cosine"}}, "log_loss"),
    Row("ema_decay: 0.9", "600 examples, lr 0.05", few(600), {"train": {"ema_decay": 0.9}}, "log_loss", {"lr": 0.05}),
    Row(
        "label_smoothing: 0.1",
        "200 examples, 20 % wrong labels, 60 epochs",
        wrong(0.2, 200),
        SMOOTH,
        "log_loss",
        {**CROSS, **LONG},
    ),
    Row("label_smoothing: 0.1", "600 of them, 30 epochs", wrong(0.2, 600), SMOOTH, "log_loss", CROSS),
    Row(
        "class_weights: balanced",
        "half of the classes 20 times rarer",
        rare,
        BALANCED,
        "balanced_accuracy",
        {**CROSS, "train": {"epochs": 5}},
    ),
    Row(
        "prior_bias: true",
        "half of the classes 20 times rarer, 1 epoch",
        rare,
        {"train": {"prior_bias": True}},
        "log_loss",
        {"train": {"epochs": 1}, "lr": 0.001},
        everywhere=True,
    ),
    Row(
        "augment: {shift: 0.125}",
        "200 examples; validation moved by a pixel",
        few(200),
        SHIFT,
        "log_loss",
        LONG,
        moved=True,
    ),
    Row("augment: {shift: 0.125}", "the same, validation as it is", few(200), SHIFT, "log_loss", LONG),
    Row(
        "mixup: 0.4",
        "200 examples, 20 % wrong labels, 60 epochs",
        wrong(0.2, 200),
        {"train": {"mixup": 0.4}},
        "log_loss",
        {**CROSS, **LONG},
    ),
    Row("mixup: 0.4", "the same, 30 epochs", wrong(0.2, 200), {"train": {"mixup": 0.4}}, "log_loss", CROSS),
    Row(
        "weight_decay: 1 (adamw)",
        "200 examples, 20 % wrong labels, 60 epochs",
        wrong(0.2, 200),
        {"train": {"weight_decay": 1.0}},
        "log_loss",
        {"train": {"epochs": 60, "optimizer": "adamw"}, "model": {"hidden": 128}},
    ),
    Row("loss: huber", "values, 5 % far off", outliers, {"loss": {"name": "huber"}}, "mae", net="values"),
    Row(
        "init: kaiming_normal",
        "600 examples, 3 epochs",
        few(600),
        {"train": {"init": "kaiming_normal"}},
        "log_loss",
        {"train": {"epochs": 3}},
    ),
    Row(
        "stratify: true",
        "sample 0.03 of 1,200",
        few(1200),
        {"train": {"stratify": True}},
        "log_loss",
        {"train": {"sample": 0.03}},
    ),
]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("names", nargs="*", help="rows whose option begins with one of these")
    asked.add_argument("--draw", type=int, default=0, help="of examples, of what is made wrong in them, and of seeds")
    given = asked.parse_args()
    wanted, draw = given.names, given.draw
    lines = []
    for number, row in enumerate(ROWS):
        if wanted and not row.name.startswith(tuple(wanted)):
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            lines.append(judged(row, Path(folder), f"recipe{number}", draw))
        print(f"{' | '.join(lines[-1])}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    headers = ("option", "problem", "metric", "without", "with", "verdict", "replicates an arm")
    print(tabulate(lines, headers, tablefmt="pipe", disable_numparse=True))


def judged(row: Row, folder: Path, task: str, draw: int) -> tuple[str, ...]:
    """Both arms, look by look, until there is a verdict."""
    root = project(row, folder, task, draw)
    direction = "maximize" if row.metric == "balanced_accuracy" else "minimize"
    values: dict[str, list[float]] = {"baseline": [], "candidate": []}
    for look, n in enumerate(LOOKS):
        for arm, option in (("baseline", {}), ("candidate", row.option)):
            set_params(root, task, row.common, option)
            values[arm] += scores(row, root, arm, list(range(len(values[arm]), n)), draw)
        level = sequential_testing.look(0.05, n, LOOKS).alpha
        found = compare(values["baseline"], values["candidate"], direction, alpha=level)
        if found.verdict != "inconclusive" or look + 1 == len(LOOKS):
            break
    shown = [f"{side.mean:.4f} ±{side.sd:.4f}" for side in (found.baseline, found.candidate)]
    return row.name, row.problem, row.metric, *shown, found.verdict, str(n)


def project(row: Row, root: Path, task: str, draw: int) -> Path:
    bunch = load_digits()
    order = np.random.default_rng(10 * draw).permutation(len(bunch.target))
    inputs, targets = bunch.images[order].astype(np.float32), bunch.target[order].astype(np.int64)
    values = row.net == "values"
    some = row.data(np.random.default_rng(1 + 10 * draw), inputs[:1200], targets[:1200])
    rest = inputs[1200:], targets[1200:].astype(np.float32) if values else targets[1200:]
    if row.everywhere:
        rest = row.data(np.random.default_rng(2 + 10 * draw), *rest)
    if row.moved:
        steps = np.random.default_rng(3 + 10 * draw).integers(-1, 2, (len(rest[0]), 2))
        rest = np.stack([np.roll(one, step, (0, 1)) for one, step in zip(rest[0], steps, strict=True)]), rest[1]
    start = 0
    for name, (x, y) in {"train": some, "validation": rest}.items():
        ids = np.array([f"{number:032x}" for number in range(start, start + len(x))])
        start += len(x)
        write(root / "data" / name, name, Examples(ids, x, y, classes=None if values else tuple("0123456789")))
    file = root / "src" / "tasks" / task / "learning.py"
    file.parent.mkdir(parents=True)
    file.write_text(NETS[row.net], encoding="utf-8")
    return root


def set_params(root: Path, task: str, *settings: Mapping[str, Any]) -> None:
    params: dict[str, Any] = {"lr": 0.003, "replicates": 5, "seed": 1, "metric": {"name": "accuracy"}}
    params |= {"task": {"name": task}, "train": dict(TRAIN), "profiles": {"full": {}}}
    for one in settings:
        for key, value in one.items():
            params[key] = {**params.get(key, {}), **value} if isinstance(value, Mapping) else value
    with (root / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML().dump(params, stream)


def scores(row: Row, root: Path, arm: str, numbers: list[int], draw: int) -> list[float]:
    """The metric of each new replicate."""
    out = root / arm
    paths = {name: str(out / name) for name in ("models", "predictions", "curves", "log", "answer")}
    request = MeasureRequest(
        profile="full",
        purpose=arm,
        seed=1 + draw,
        replicates=numbers,
        device="cpu",
        environment="here",
        code="code",
        execution="fused",
        train=str(root / "data/train"),
        evaluate=str(root / "data/validation"),
        cache="",
        **paths,
    )
    measure(request, root, lambda _line: None)
    predicted = np.load(out / "predictions" / "predictions.npy")
    targets = np.load(root / "data/validation/targets.npy")
    return [float(METRICS[row.metric](targets, one)) for one in predicted]


def log_loss(targets: Array, chances: Array) -> float:
    return float(-np.log(np.maximum(chances[np.arange(len(targets)), targets], 1e-12)).mean())


def balanced_accuracy(targets: Array, chances: Array) -> float:
    right = chances.argmax(axis=1) == targets
    return float(np.mean([right[targets == label].mean() for label in np.unique(targets)]))


METRICS = {
    "log_loss": log_loss,
    "balanced_accuracy": balanced_accuracy,
    "mae": lambda targets, values: np.abs(values.reshape(targets.shape) - targets).mean(),
}

if __name__ == "__main__":
    main()
