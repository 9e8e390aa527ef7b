"""Projects in miniature: params.yaml, a task, parts of data, and requests to measure them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from assay.core.schemas import Measurement, MeasureRequest
from assay.data.storage import Examples, write
from assay.training.train_and_predict import measure

DIGITS = Path(__file__).parents[2] / "src" / "tasks" / "digits" / "learning.py"

_names = (f"toy{number}" for number in itertools.count())


def some_ids(count: int, start: int = 0) -> np.ndarray:
    return np.array([f"{number:032x}" for number in range(start, start + count)])


def digits(start: int, stop: int) -> Examples:
    bunch = load_digits()
    return Examples(
        ids=some_ids(stop - start, start),
        inputs=bunch.images[start:stop].astype(np.uint8),
        targets=bunch.target[start:stop].astype(np.int64),
        classes=tuple("0123456789"),
    )


@dataclass
class Project:
    """A folder as `measure` finds it."""

    root: Path
    task: str
    params: dict = field(default_factory=dict)
    report: list[str] = field(default_factory=list)

    def set(self, **values: object) -> None:
        """Set parameters; a mapping is merged into its section."""
        for name, value in values.items():
            if isinstance(value, dict):
                self.params.setdefault(name, {}).update(value)
            else:
                self.params[name] = value
        with (self.root / "params.yaml").open("w") as stream:
            YAML().dump(self.params, stream)

    def request(self, replicates: list[int], out: str = "out", **more: object) -> MeasureRequest:
        folder = self.root / out
        paths = {
            "train": self.root / "data" / "train",
            "evaluate": self.root / "data" / "validation",
            "models": folder / "models",
            "predictions": folder / "predictions",
            "curves": folder / "curves.csv",
            "log": folder / "train.log",
            "answer": folder / "answer.json",
        }
        fixed = {
            "profile": "full",
            "purpose": "candidate",
            "seed": 1,
            "device": "cpu",
            "environment": "here",
            "code": "code",
            "execution": "sequential",
            "cache": "",
        }
        given = {**fixed, **{name: str(path) for name, path in paths.items()}, **more}
        return MeasureRequest(replicates=replicates, **given)

    def measure(self, replicates: list[int], out: str = "out", **more: object) -> Measurement:
        return measure(self.request(replicates, out, **more), self.root, self.report.append)

    def predictions(self, out: str = "out") -> np.ndarray:
        return np.load(self.root / out / "predictions" / "predictions.npy")

    def weights(self, number: int, out: str = "out") -> bytes:
        return (self.root / out / "models" / f"{number}.safetensors").read_bytes()

    def part(self, name: str, part: Examples) -> None:
        write(self.root / "data" / name, name, part)


Make = Callable[..., Project]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Builds a project around the source of a task; each under a task name of its own."""
    before = list(sys.path)

    def project(source: str | None = None, examples: int = 200, evaluated: int = 60, **params: object) -> Project:
        name = next(_names)
        root = tmp_path / name
        file = root / "src" / "tasks" / name / "learning.py"
        file.parent.mkdir(parents=True)
        file.write_text(DIGITS.read_text() if source is None else dedent(source))
        made = Project(root, name)
        made.part("train", digits(0, examples))
        made.part("validation", digits(1000, 1000 + evaluated))
        made.set(
            lr=0.01,
            replicates=3,
            seed=1,
            profile="full",
            task={"name": name},
            train={"epochs": 2, "batch_size": 32},
            metric={"name": "accuracy"},
            profiles={"full": {}, "fast": {"train": {"epochs": 1}}},
        )
        made.set(**params)
        return made

    yield project
    sys.path[:] = before
