"""Projects with large data, as their users would write them, for data_scale.py."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
GIT = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@localhost"]

_METRICS = (ROOT / "src/tasks/digits/metrics.py").read_text(encoding="utf-8")
_PERCEPTRON = (ROOT / "src/tasks/digits/learning.py").read_text(encoding="utf-8")

_IMAGES = '''
    """Images in one array of bytes."""

    from typing import Any

    import numpy as np


    def prepare(*, file: str) -> dict[str, Any]:
        """Mapped: the file is read where it lies."""
        found = np.load(file, mmap_mode="r")
        labels = np.load(file.replace("inputs", "labels"))
        return {"inputs": found, "targets": labels, "classes": [str(number) for number in range(10)]}
'''

_TABLE = """
    from assay.ready.table import prepare
"""

_TRANSFORM = """
    from assay.ready.table import loss, model, preprocess, statistics, transform
"""

_FILES = """
    from assay.ready.image_folder import prepare
"""

_FOLDER = """
    from assay.ready.image_folder import augment, decode, loss, model, preprocess, statistics
"""


_WIDTH = {
    "  hidden: 128\n  layers: 1\n  dropout: 0.1\n": "  width: 32\n",
    "    model:\n      hidden: 64\n": "    model:\n      width: 16\n",
}


@dataclass(frozen=True)
class Bench:
    """One kind of data: how it is made, and the run that is measured."""

    examples: int
    make: Callable[[Path, int], int]  # (folder, examples) → bytes
    modules: dict[str, str]  # file of the task → source
    params: dict[str, str]  # line of params.yaml → what stands there instead
    strategy: bool = False  # whether an accepted strategy is the baseline
    stages: Sequence[str] = field(default_factory=tuple)  # what is measured; all where none is named
    loader: bool = False  # whether batches are timed against the model's steps

    @property
    def setup(self) -> list[list[str]]:
        return [
            [*GIT, "init", "--quiet", "--initial-branch=main"],
            [*GIT, "add", "--all"],
            [*GIT, "commit", "--quiet", "--message", "start"],
        ]

    @property
    def accept(self) -> list[list[str]]:
        return [
            [*GIT, "add", "--all"],
            [*GIT, "commit", "--quiet", "--message", "first"],
            [*GIT, "tag", "--annotate", "strategy/first", "--message", "first"],
        ]

    def write(self, root: Path, examples: int) -> int:
        """A project at `root`; bytes of its data."""
        for part in (".dvc/config", ".dvc/.gitignore", ".dvc/plots", ".dvcignore", ".gitignore", "dvc.yaml"):
            source, target = ROOT / part, root / part
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
        folder = root / "src/tasks/scale"
        folder.mkdir(parents=True)
        for name, source in self.modules.items():
            (folder / name).write_text(dedent(source), encoding="utf-8")
        text = (ROOT / "params.yaml").read_text(encoding="utf-8")
        for old, new in {"  name: digits": "  name: scale", "replicates: 10": "replicates: 2", **self.params}.items():
            assert old in text, old
            text = text.replace(old, new, 1)
        (root / "params.yaml").write_text(text, encoding="utf-8")
        (root / "raw").mkdir()
        (root / ".git/info").mkdir(parents=True, exist_ok=True)
        with (root / ".gitignore").open("a", encoding="utf-8") as stream:
            stream.write("/raw/\n")
        return self.make(root / "raw", examples)

    def candidate(self, root: Path) -> None:
        """Another step size, measured against the strategy."""
        text = (root / "params.yaml").read_text(encoding="utf-8")
        text = text.replace("baseline: floor", "baseline: strategy/first").replace("lr: 0.003", "lr: 0.002")
        (root / "params.yaml").write_text(text, encoding="utf-8")


def images(folder: Path, examples: int) -> int:
    """Bytes with a trace of their class, (N, 3, 32, 32)."""
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 10, examples)
    shapes = chance.integers(0, 60, (10, 3, 32, 32), dtype=np.uint8)
    made = np.lib.format.open_memmap(folder / "inputs.npy", "w+", np.uint8, (examples, 3, 32, 32))
    for start in range(0, examples, 4096):
        some = labels[start : start + 4096]
        made[start : start + 4096] = shapes[some] + chance.integers(0, 196, (len(some), 3, 32, 32), dtype=np.uint8)
    made.flush()
    np.save(folder / "labels.npy", labels)
    return (folder / "inputs.npy").stat().st_size


def table(folder: Path, examples: int) -> int:
    """18 columns: ten of numbers, one of them with gaps, seven of text, and the label."""
    chance = np.random.default_rng(0)
    words = [f"word {number}" for number in range(2000)]
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(f"x{number}" for number in range(10)), *(f"word{number}" for number in range(7)), "label"])
        for start in range(0, examples, 10_000):
            count = min(10_000, examples - start)
            numbers = chance.normal(size=(count, 10)).round(4)
            kinds = chance.integers(0, [3, 10, 50, 200, 500, 1000, 2000], (count, 7))
            labels = (numbers[:, 0] + (kinds[:, 0] == 1) + chance.normal(size=count) > 0.5).tolist()
            rows = zip(numbers.tolist(), kinds.tolist(), labels, strict=True)
            for row, (values, named, label) in enumerate(rows):
                gap = ["", *values[1:]] if row % 20 == 0 else values
                writer.writerow([*gap, *(words[kind] for kind in named), "yes" if label else "no"])
    return (folder / "table.csv").stat().st_size


def files(folder: Path, examples: int) -> int:
    """JPEG files of 48 × 48, in a folder for each of ten classes."""
    chance = np.random.default_rng(0)
    shapes = chance.integers(0, 128, (10, 48, 48, 3), dtype=np.uint8)
    size = 0
    for label in range(10):
        (folder / f"class {label}").mkdir()
    for number in range(examples):
        label = number % 10
        noise = chance.integers(0, 128, (6, 6, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        path = folder / f"class {label}" / f"{number}.jpg"
        Image.fromarray(shapes[label] + noise).save(path, quality=80)
        size += path.stat().st_size
    return size


TASKS = {
    "images": Bench(
        200_000,
        images,
        {"data.py": _IMAGES, "learning.py": _PERCEPTRON, "metrics.py": _METRICS},
        {"data: {}": "data: {file: raw/inputs.npy}", "  epochs: 20": "  epochs: 1"},
        strategy=True,
    ),
    "table": Bench(
        1_000_000,
        table,
        {"data.py": _TABLE, "learning.py": _TRANSFORM, "metrics.py": _METRICS},
        {
            "data: {}": "data: {file: raw/table.csv, target: label}",
            "  epochs: 20": "  epochs: 1",
            "  batch_size: 64": "  batch_size: 1024",
            "replicates: 2": "replicates: 1",
            "  layers: 1\n": "",
        },
        stages=("context", "prepare", "split", "baseline", "train"),
    ),
    "files": Bench(
        50_000,
        files,
        {"data.py": _FILES, "learning.py": _FOLDER, "metrics.py": _METRICS},
        {"data: {}": "data: {folder: raw, size: 48}", "  epochs: 20": "  epochs: 1", **_WIDTH},
        loader=True,
    ),
}
