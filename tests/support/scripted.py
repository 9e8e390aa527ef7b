"""A repository with a script of its user's own, as small as one can be: no torch, no data, 50 ms a run."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from assay.core import params_yaml
from assay.core.paths import ProjectPaths
from assay.core.schemas import Draw, Measurement
from assay.runtime import script_source
from assay.runtime.dvc_yaml import Run
from assay.script import input_files, script_arm
from assay.script.script_arm import ScriptArm, ScriptOutputs

TRAIN = '''"""A training that takes no time."""

import argparse
import json
import random
from pathlib import Path

from scoring import score

arguments = argparse.ArgumentParser()
arguments.add_argument("--lr", type=float)
arguments.add_argument("--seed", type=int)
arguments.add_argument("--out", type=Path)
given = arguments.parse_args()
chance = random.Random(given.seed)
print(f"training at lr {given.lr}")
predicted = [chance.gauss(0.5 + given.lr, 0.05) for _ in range(20)]
(given.out / "model.pt").write_bytes(b"no pickle")
(given.out / "metrics.json").write_text(json.dumps({"val": {"accuracy": score(predicted)}}))
'''
SCORING = '''"""What the number is."""


def score(predicted):
    return sum(predicted) / len(predicted)
'''
COMMAND = "python train.py --lr {lr} --seed {seed} --out {out}"
RESULT = {"file": "{out}/metrics.json", "key": "val.accuracy", "direction": "maximize", "min_effect": 0.01}
FILES = {"train.py": TRAIN, "scoring.py": SCORING, ".gitignore": "__pycache__/\n", ".dvc/.gitignore": "/tmp\n"}


def params(**task: Any) -> str:
    """params.yaml of the project; `task` joins what a task has, a value of None takes it out."""
    whole = {"command": COMMAND, "result": RESULT, "ruler": ["scoring.py"], **task}
    section = {key: value for key, value in whole.items() if value is not None}
    values = {"lr": 0.1, "replicates": 3, "seed": 1, "task": section}
    return msgspec.json.format(msgspec.json.encode(values)).decode()


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def git(root: Path, *arguments: str) -> str:
    line = ["git", "-C", str(root), "-c", "user.name=Ada", "-c", "user.email=ada@localhost", *arguments]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "change")
    return git(root, "rev-parse", "HEAD")


def project(root: Path, beside: Mapping[str, str] | None = None, /, **task: Any) -> Path:
    """A repository at `root` with the script, and files `beside` or in place of its own."""
    root.mkdir(exist_ok=True)
    write(root, {**FILES, "params.yaml": params(**task), **(beside or {})})
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root)
    return root


def arm(root: Path, count: int = 2, **changes: Any) -> ScriptArm:
    """The arm of the tree as it stands, its results in the folder `results`."""
    layout = ProjectPaths(root)
    run, asked = Run(layout, root, ""), params_yaml.resolved(layout.params.read_bytes())
    made = ScriptArm(
        arm="candidate",
        run=run,
        params=asked,
        tree=root,
        inputs=input_files.of_work_tree(run, asked.task.files),
        ruler=script_source.ruler(root, asked.task),
        python_path=[],
        profile="full",
        environment="this one",
        seed=1,
        draw=Draw(purpose="candidate", first=0),
        count=count,
        outputs=ScriptOutputs(layout.models("candidate"), layout.logs("candidate"), layout.log("candidate")),
    )
    return replace(made, **changes)


def measured(root: Path, count: int = 2, **changes: Any) -> Measurement:
    return script_arm.measure(arm(root, count, **changes), lambda _: None)
