"""`assay export`: an accepted strategy as a folder that predicts without repository, data or training.

Covers: weights of its replicates, the task's own sources, parameters, statistics of the training part for
its preprocessing, class names, the evidence in short; fetched through DVC where they are not at hand. Not
covered: predicting (`verbs.exported`), tasks with a loop of their own, whose predictor is nobody's to rebuild.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors.torch
import torch

from assay.arms import accepted
from assay.data import examples
from assay.history import lookup, project
from assay.history.reading import read
from assay.history.scratch import failed
from assay.history.state import Strategy, fold
from assay.learning import feed
from assay.outside import closure, files, git, task_source
from assay.outside.pipeline import Run
from assay.verbs.exported import HEAD, SOURCES, STATISTICS, WEIGHTS, Exported, own_task
from assay.words import params, records
from assay.words.errors import UsageError
from assay.words.layout import Layout


def export(start: Path, name: str, out: Path) -> Exported:
    """Write strategy `name` to the folder `out`, whole or not at all; its head.

    Raises UsageError when `out` exists, the strategy is unknown, or its files are nowhere to be had.
    """
    layout = project.find(start)
    if out.exists():
        raise UsageError(f"{out} exists", mend="choose another folder")
    strategy = lookup.strategy(fold(read(layout.root, experiments=False).tags), name)
    tree = accepted.unpack(Run(layout, layout.root, ""), strategy.tag.commit)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        made = Path(folder) / "model"
        head = _write(layout, strategy, tree, made)
        made.rename(out)
    return head


def _write(layout: Layout, strategy: Strategy, tree: Path, out: Path) -> Exported:
    content = files.read_bytes(tree / "params.yaml")
    asked = params.resolved(content, strategy.accepted.profile, f"params.yaml of {strategy.tag.name}")
    learning = task_source.path(tree, asked.task.name, "learning")
    for file in closure.import_closure(tree, [learning]):
        files.write_bytes(
            out / file.relative_to(tree) if file.is_absolute() else out / file, (tree / file).read_bytes()
        )
    files.write_bytes(out / "params.yaml", content)
    _fetch(layout, strategy, "models/candidate", out / WEIGHTS)
    _fetch(layout, strategy, "data/split/train", out / ".train")
    part, _ = examples.read(out / ".train")
    shutil.rmtree(out / ".train")
    task = own_task(out / SOURCES, asked)
    raw = torch.from_numpy(part.inputs)
    statistics = {} if task.statistics is None else task.call("statistics", raw)
    if statistics:
        files.write_bytes(out / STATISTICS, safetensors.torch.save(statistics))
    ready = (
        raw[:2] if task.preprocess is None else task.call("preprocess", raw[:2], *([statistics] if statistics else []))
    )
    head = Exported(
        strategy=strategy.tag.name,
        commit=strategy.tag.commit,
        profile=strategy.accepted.profile,
        classes=None if part.classes is None else list(part.classes),
        shape=list(ready.shape[1:]),
        outputs=feed.outputs(part),
        target=list(part.targets.shape[1:]),
        metric_version=strategy.accepted.metric_version,
        test=None if strategy.accepted.test is None else strategy.accepted.test.mean,
    )
    files.write_bytes(out / HEAD, records.encode(head))
    return head


def _fetch(layout: Layout, strategy: Strategy, path: str, out: Path) -> None:
    """`path` of the strategy's commit, from DVC's cache or its remote."""
    out.parent.mkdir(parents=True, exist_ok=True)
    command = ["get", *git.from_top(layout.root, path), "--rev", strategy.tag.commit, "--out", str(out), "--quiet"]
    done = subprocess.run([sys.executable, "-m", "dvc", *command], capture_output=True, text=True)
    if done.returncode:
        mend = f"dvc remote add -d NAME URL, or on the machine that has it: dvc push {path}"
        raise failed(f"{path} of {strategy.tag.name} is neither in the cache nor on a remote", done.stderr, mend)
