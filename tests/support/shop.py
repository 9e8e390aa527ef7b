"""A wheel of this tree in an environment of its own, and a repository that is not this one, made in the test.

The environment borrows its dependencies from the one that runs the tests, DVC among them: `dvc` and `assay` on PATH are
of two environments.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from support.project import CHECKOUT, Project

#: what a wheel is made of
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src/assay")
DATA = '''"""Rings: is a point inside of the inner one?"""

import numpy as np
from shapes.draw import points


def prepare(*, people: int = 40):
    inputs, inside = points(people * 10)
    return {"inputs": inputs.astype(np.float32), "targets": inside.astype(np.int64), "classes": ["outside", "inside"]}
'''
LEARNING = '''"""Rings: a small network."""

from torch import nn

import widths


def model(shape, outputs, *, hidden: int = 8):
    width = widths.FACTOR * hidden
    return nn.Sequential(nn.Linear(shape[0], width), nn.Tanh(), nn.Linear(width, outputs))


def loss(outputs, targets):
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
'''
METRICS = '''"""Rings: the ruler."""

import numpy as np


def right(targets, predictions):
    return float(np.mean(predictions.argmax(axis=1) == targets))


METRICS = {"right": {"function": right, "direction": "maximize", "min_effect": 0.01}}
'''
DRAW = '''"""A package of the user's own, installed editable."""

import numpy as np


def points(count):
    chance = np.random.default_rng(0)
    radius, angle = chance.uniform(0.0, 2.0, count), chance.uniform(0.0, 2 * np.pi, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), radius < 1.0
'''
PARAMS = """lr: 0.03
replicates: 4
seed: 1
profile: full
baseline: floor
task: {name: rings}
data: {}
split: {validation: 0.2}
model: {hidden: 8}
train: {epochs: 20, batch_size: 32}
metric: {name: right}
judge: {test: welch}
profiles: {full: {}}
detector:
  threshold: 0.5
"""
#: a stage of the user's own, and a section of params.yaml that only it declares
PUBLISH = """
  publish:
    cmd: python publish.py
    deps:
      - results/metrics.json
    params:
      - detector.threshold
"""


class Shop(NamedTuple):
    """The user's project in the folder `rings` of his repository, and his environment."""

    project: Project
    bin: Path

    def run(self, *command: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.bin}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return self.project.run(*command, ok=ok, **{"PATH": path, **env})

    def copy(self, where: Path) -> Shop:
        shutil.copytree(self.project.root.parent, where / "shop", symlinks=True)
        return Shop(Project(where / "shop/rings", self.project.home), self.bin)


def install(where: Path) -> Path:
    """The folder of programs of a fresh environment with the wheel in it."""
    source = where / "source"
    for name in SOURCES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy2
        copy(CHECKOUT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *alone, "-w", str(where), str(source)], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(where / "env")], check=True)
    python = where / "env" / "bin" / "python"
    (wheel,) = where.glob("*.whl")
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    borrowed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (site,) = (where / "env").glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n", encoding="utf-8")
    return python.parent


def build(where: Path) -> None:
    programs = install(where)
    top, home = where / "shop", where / "home"
    home.mkdir()
    pipeline = (CHECKOUT / "dvc.yaml").read_text(encoding="utf-8").replace("src/tasks/", "tasks/")
    files = {
        "src/shapes/draw.py": DRAW,
        "widths.py": "FACTOR = 1\n",
        "rings/tasks/rings/data.py": DATA,
        "rings/tasks/rings/learning.py": LEARNING,
        "rings/tasks/rings/metrics.py": METRICS,
        "rings/params.yaml": PARAMS,
        "rings/publish.py": "print('published')\n",
        "rings/dvc.yaml": pipeline.rstrip() + "\n" + PUBLISH,
        "rings/mmap.py": "raise RuntimeError('Python has a module of this name')\n",
        ".gitignore": "__pycache__/\n",
    }
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, encoding="utf-8")
    (site,) = (programs.parent).glob("lib/python*/site-packages")
    (site / "shapes.pth").write_text(f"{top / 'src'}\n", encoding="utf-8")  # as an editable install leaves it
    shop = Shop(Project(top / "rings", home), programs)
    shop.project.git("init", "--quiet", "--initial-branch=main", str(top))
    shop.project.run(sys.executable, "-m", "dvc", "init", "--quiet", cwd=top)
    shutil.copytree(CHECKOUT / ".dvc/plots", top / ".dvc/plots")
    shop.project.git("config", "user.name", "Ada Lovelace")
    shop.project.git("config", "user.email", "ada@example.org")
    shop.project.commit("start")
