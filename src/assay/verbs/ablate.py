"""`assay ablate`: which of several changes brings the gain, each alone and all combinations.

Every cell is an experiment on the same seeds (a blocked design), run by DVC in a repository of its own and
brought into this one, so that the work tree may go on changing. Interrupted, the same command goes on:
cells that are experiments already are read, not run. Not covered: the statistics (`judging.factorial`).
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from assay.history import plumbing, project
from assay.history.landing import newest_date
from assay.history.merging import merge
from assay.history.scratch import failed, lay_out, run, share_cache
from assay.judging.factorial import Factorial, factorial
from assay.outside import files, git
from assay.words import params
from assay.words.errors import UsageError
from assay.words.layout import Layout, Store

REPLICATES = "results/replicates.csv"
Row = dict[str, str]


@dataclass(frozen=True)
class Cell:
    """One combination: the changes switched on, as typed, and where it is kept."""

    changes: tuple[str, ...]  # settings and branches
    base: str  # commit that it is run on
    settings: tuple[str, ...]
    name: str

    @property
    def ref(self) -> str:
        return f"refs/exps/{self.base[:2]}/{self.base[2:]}/{self.name}"


@dataclass(frozen=True)
class Ablation:
    """Values of every cell on the seeds that all of them finished, and what they say."""

    metric: str
    metric_version: str
    cells: dict[tuple[str, ...], list[float]]
    lost: int  # seeds that some cell did not finish
    result: Factorial


def ablate(start: Path, settings: Sequence[str], branches: Sequence[str], say: Callable[[str], None]) -> Ablation:
    """Measure all combinations of `settings` (key=value) and `branches` on HEAD; their effects.

    Raises UsageError for fewer than two or more than three changes, and for a cell that does not run.
    """
    layout = project.find(start)
    changes = [*settings, *branches]
    if not 2 <= len(set(changes)) == len(changes) <= 3:
        raise UsageError(f"the changes are {', '.join(changes) or 'none'}", allowed="two or three different ones")
    for setting in settings:
        if "=" not in setting or setting.startswith("-"):
            raise UsageError(f"-S {setting} is no setting", allowed="KEY=VALUE, as in `dvc exp run -S`")
    subsets = [subset for size in range(len(changes) + 1) for subset in itertools.combinations(changes, size)]
    cells = [_cell(layout, subset, set(branches)) for subset in subsets]
    with ThreadPoolExecutor(_room(layout)) as pool:
        measured = list(pool.map(lambda cell: _rows(layout, cell, say), cells))
    return _judged(layout, {cell.changes: rows for cell, rows in zip(cells, measured, strict=True)})


def _cell(layout: Layout, changes: tuple[str, ...], branches: set[str]) -> Cell:
    base = git.run(layout.root, "rev-parse", "HEAD")
    for branch in (change for change in changes if change in branches):
        base = _with_branch(layout.root, base, branch)
    settings = tuple(sorted(change for change in changes if change not in branches))
    name = f"ablate-{files.digest(' '.join((base, *settings)).encode())[:8]}"
    return Cell(changes, base, settings, name)


def _with_branch(root: Path, base: str, branch: str) -> str:
    """The merge of `branch` into `base`, the same commit each time."""
    commit = git.resolve(root, branch)
    if commit is None:
        raise UsageError(f"there is no branch {branch!r}", allowed=git.run(root, "branch", "--format=%(refname:short)"))
    brought = merge(root, base, commit, experiment=False)
    return plumbing.commit(root, brought.tree, (base, commit), f"Merge {branch}", newest_date(root, base, commit))


def _room(layout: Layout) -> int:
    """Cells at a time: one on an accelerator, else one for every two cores."""
    device = params.load(files.read_bytes(layout.params)).machine.device
    return 1 if device.startswith("cuda") else max(1, (os.cpu_count() or 1) // 2)


def _rows(layout: Layout, cell: Cell, say: Callable[[str], None]) -> list[Row]:
    """The candidate's rows of one cell, run unless it was."""
    label = " ".join(cell.changes) or "baseline"
    known = git.read(layout.root, cell.ref, REPLICATES)
    if known is None:
        say(f"running {label}")
        known = _run(layout, cell, label)
    else:
        say(f"{label} is measured: {cell.name}")
    return [row for row in csv.DictReader(io.StringIO(known.decode())) if row["arm"] == "candidate"]


def _run(layout: Layout, cell: Cell, label: str) -> bytes:
    folder = f"{cell.base[:8]}-{cell.name}"
    scratch = lay_out(layout, cell.base, Store(layout.root).root / "ablate" / folder)
    try:
        share_cache(layout.root, scratch.layout.root)
        options = [word for setting in cell.settings for word in ("-S", setting)]
        command = [sys.executable, "-m", "dvc", "exp", "run", "--name", cell.name, *options]
        code, said = run(command, scratch.layout.root, layout.root)
        if code:
            raise failed(f"{label} does not run", said, "mend it, then run the command again")
        content = files.read_bytes(scratch.layout.replicates)
        if git.resolve(scratch.top, cell.ref):  # DVC makes no experiment where nothing was to be run
            plumbing.call(layout.root, "fetch", "--quiet", "--no-tags", str(scratch.top), f"{cell.ref}:{cell.ref}")
        return content
    finally:
        scratch.remove()


def _judged(layout: Layout, found: dict[tuple[str, ...], list[Row]]) -> Ablation:
    versions = {row["metric_version"] for rows in found.values() for row in rows}
    if len(versions) != 1:
        raise UsageError(
            f"the cells have the metric versions {', '.join(sorted(versions))}", mend="dvc exp remove the old"
        )
    version = versions.pop()
    metric = version.rpartition("-")[0]
    finished = [{row["replicate"] for row in rows if row["status"] == "ok"} for rows in found.values()]
    common, every = set.intersection(*finished), {row["replicate"] for rows in found.values() for row in rows}
    cells = {
        changes: [float(row[metric]) for row in rows if row["replicate"] in common] for changes, rows in found.items()
    }
    first = next(row for rows in found.values() for row in rows)
    alpha = params.load(files.read_bytes(layout.params)).judge.alpha
    groups: dict[Sequence[str] | frozenset[str], Sequence[float]] = {
        frozenset(changes): values for changes, values in cells.items()
    }
    result = factorial(groups, first["direction"], blocked=True, alpha=alpha, min_effect=float(first["min_effect"]))
    return Ablation(metric, version, cells, len(every - common), result)
