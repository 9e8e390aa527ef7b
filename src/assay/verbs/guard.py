"""`assay guard`: a change of code that should change nothing, proved bit by bit.

Every profile of params.yaml is a mode (two backbones, say). For each mode that is not meant to change, both
revisions train a few steps by their own code, from the same seed, on the same batches, through the frozen
protocol; the weights must be equal to the last bit. Covers: the first mode, step and tensor that differ, and
what explains it. Not covered: validation and metrics, which no training sees.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import load_file

from assay.arms import accepted
from assay.data import examples
from assay.data.examples import Examples
from assay.history import difference, project
from assay.history.scratch import failed, run
from assay.outside import files, git, task_source
from assay.outside.pipeline import Run
from assay.words import params, records
from assay.words.errors import UsageError
from assay.words.layout import Layout
from assay.words.records import MeasureRequest
from assay.words.yaml12 import parse

#: steps that both revisions train: the first shows the model, the second the optimizer's state
STEPS = 3
EVALUATED = 8


@dataclass(frozen=True)
class Finding:
    """One mode. `step` is the first after which `tensor` differs, 0 where nothing does."""

    mode: str
    step: int = 0
    tensor: str = ""
    explained: tuple[str, ...] = ()


class Revision:
    """One revision's own files, with a params.yaml for a short training."""

    def __init__(self, layout: Layout, name: str, folder: Path) -> None:
        commit = git.resolve(layout.root, name)
        if commit is None:
            raise UsageError(f"there is no revision {name!r}", allowed="a commit, branch, tag or experiment")
        self.name, self.commit, self.tree = name, commit, folder
        shutil.copytree(accepted.unpack(Run(layout, layout.root, ""), commit), folder)
        self.content = files.read_bytes(folder / "params.yaml")
        self.params = params.load(self.content, f"params.yaml of {name}")

    def weights(self, home: Path, mode: str, train: Path, evaluate: Path, out: Path) -> dict[str, np.ndarray]:
        """Tensor name → value after one epoch over the part `train`."""
        raw = parse(self.content)
        raw["profiles"][mode] = params.merged(raw["profiles"][mode] or {}, {"train": {"epochs": 1, "sample": 1.0}})
        files.write_text(self.tree / "params.yaml", yaml.safe_dump(raw))
        request = MeasureRequest(
            profile=mode,
            purpose="guard",
            seed=self.params.seed,
            replicates=[0],
            device=self.params.machine.device,
            environment="",
            code="",
            execution="sequential",
            train=str(train),
            evaluate=str(evaluate),
            models=str(out / "models"),
            predictions=str(out / "predictions"),
            curves=str(out / "curves.csv"),
            log=str(out / "log"),
            answer=str(out / "answer.json"),
            cache="",
        )
        path = out / "request.json"
        files.write_bytes(path, records.encode(request))
        code, said = run([sys.executable, str(self.tree / "src" / "stage.py"), "measure", str(path)], self.tree, home)
        if code:
            raise failed(f"{self.name} does not train in mode {mode}", said, "mend it, then run the command again")
        return {name: np.asarray(value) for name, value in load_file(out / "models" / "0.safetensors").items()}


def guard(start: Path, base: str, head: str, changes: Collection[str], say: Callable[[str], None]) -> list[Finding]:
    """Compare `base` ("": the baseline) with `head` in every mode but those in `changes`.

    Raises UsageError for a revision or mode that is not there, and for a task without weights.
    """
    layout = project.find(start)
    with tempfile.TemporaryDirectory() as folder:
        old = Revision(layout, base or _baseline(layout), Path(folder) / "base")
        new = Revision(layout, head, Path(folder) / "head")
        unknown = sorted(set(changes) - set(new.params.profiles))
        if unknown:
            raise UsageError(f"{unknown[0]!r} is no mode", allowed=", ".join(new.params.profiles))
        modes = [mode for mode in new.params.profiles if mode in old.params.profiles and mode not in changes]
        return [_compare(layout, old, new, mode, Path(folder) / mode, say) for mode in modes]


def _baseline(layout: Layout) -> str:
    name = params.load(files.read_bytes(layout.params)).baseline
    if name == accepted.FLOOR:
        raise UsageError("the baseline is the floor, which trains nothing", mend="assay guard BASE HEAD")
    return name


def _compare(
    layout: Layout, old: Revision, new: Revision, mode: str, folder: Path, say: Callable[[str], None]
) -> Finding:
    """All steps at once; only where they differ, one more each, to name the first."""
    say(f"{mode}: {STEPS} steps of {old.name} and {new.name}")
    if not _differs(layout, old, new, mode, folder, STEPS):
        return Finding(mode)
    found = ((step, _differs(layout, old, new, mode, folder, step)) for step in range(1, STEPS + 1))
    step, tensor = next((step, tensor) for step, tensor in found if tensor)
    return Finding(mode, step, tensor, tuple(_explained(layout, old, new, mode)))


def _differs(layout: Layout, old: Revision, new: Revision, mode: str, folder: Path, steps: int) -> str:
    """The first tensor that differs after `steps` steps, "" where none does."""
    where = folder / str(steps)
    train, evaluate = _parts(layout, new, mode, where, steps)
    first, second = (each.weights(layout.root, mode, train, evaluate, where / each.tree.name) for each in (old, new))
    for name in [*first, *(name for name in second if name not in first)]:
        if name not in first or name not in second:
            return f"{name} (only in {(old if name in first else new).name})"
        one, other = first[name], second[name]
        if one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes():
            return name
    return ""


def _parts(layout: Layout, new: Revision, mode: str, folder: Path, steps: int) -> tuple[Path, Path]:
    """A training part of as many batches, and a few examples to predict."""
    batch = params.resolved(new.content, mode).train.batch_size
    train, evaluate = folder / "train", folder / "evaluate"
    for name, where, count in (("train", train, steps * batch), ("validation", evaluate, EVALUATED)):
        part, _ = examples.read(layout.part(name))
        examples.write(where, name, _first(part, count))
    return train, evaluate


def _first(part: Examples, count: int) -> Examples:
    return part.take(np.arange(min(count, len(part))))


def _explained(layout: Layout, old: Revision, new: Revision, mode: str) -> list[str]:
    """Parameters of the mode and sources that training reaches, as far as they differ."""
    before = params.strategy(params.resolved(old.content, mode))
    after = params.strategy(params.resolved(new.content, mode))
    task = new.params.task.name
    reached = difference.reached(Layout(new.tree), task)
    changed = git.run(layout.root, "diff", "--name-only", "--relative", old.commit, new.commit, "--", "src").split("\n")
    known = {task_source.path(Path(), task, name).as_posix() for name in ("learning", "data")}
    return [*difference.parameter_changes(before, after), *(path for path in changed if path in reached | known)]
