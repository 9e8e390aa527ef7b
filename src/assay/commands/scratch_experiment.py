"""One `dvc exp run` in a repository of its own, whose experiment is brought into the user's repository.

Covers: a commit or a tree as the state to run, settings, replacing an experiment of that name, what killed commands
left. Not covered: which experiments (`commands.experiment_grid`, `commands.try_idea`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from assay.acceptance.acceptance_transaction import newest_date
from assay.core.paths import REPLICATES, ProjectPaths
from assay.history import replicates_csv
from assay.history.replicates_csv import Row
from assay.runtime import dvc_yaml, files, git, git_env_vars, git_plumbing, parent_watch
from assay.runtime.dvc_cli import DVC
from assay.scratch.dvc_repro import furnish, last
from assay.scratch.scratch_repo import failed, lay_out, run

#: one ref, whatever else the user's settings make a fetch do
_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-prune",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-auto-gc",
)


@dataclass(frozen=True)
class Cell:
    """One combination: the changes switched on, as typed, and where it is kept."""

    changes: tuple[str, ...]  # settings and branches
    base: str  # commit that it is run on
    settings: tuple[str, ...]
    name: str
    tree: str = ""  # that is run in place of the commit's own; "" for that
    message: str = ""  # of the experiment's commit; "" for DVC's

    @property
    def ref(self) -> str:
        return f"refs/exps/{self.base[:2]}/{self.base[2:]}/{self.name}"

    @property
    def label(self) -> str:
        return " ".join(self.changes) or "baseline"


def folder(layout: ProjectPaths, base: str, name: str) -> Path:
    """A folder of this process alone: two commands may measure the same cells."""
    return dvc_yaml.store(layout.root).cells / f"{base[:8]}-{name}-{os.getpid()}"


def tidy(layout: ProjectPaths) -> None:
    """Remove what killed commands left."""
    for left in dvc_yaml.store(layout.root).cells.glob("*-*"):
        if left.name.rpartition("-")[2].isdigit() and not parent_watch.alive(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)


def measure(layout: ProjectPaths, one: Cell) -> bytes:
    """results/replicates.csv of `one`, run and kept as its experiment; one that had its name is replaced.

    Raises UsageError with the sentence of the stage that failed.
    """
    scratch = lay_out(layout, one.base, folder(layout, one.base, one.name))
    try:
        if one.tree:
            git.run(scratch.top, "read-tree", "--reset", "-u", one.tree, environment=git_env_vars.of_our_own())
        furnish(scratch)
        # `++`: also an option that params.yaml does not have yet
        options = [word for setting in one.settings for word in ("-S", f"++{setting}")]
        options += ["--message", one.message] if one.message else []
        command = [*DVC, "exp", "run", last(scratch.layout), "--name", one.name, *options]
        code, said = run(command, scratch.layout.root, layout.root, f"{one.name} ({one.label})")
        if code:
            raise failed(f"{one.label} does not run", said, "fix it, then run the command again")
        content = files.read_bytes(scratch.layout.replicates)
        if git.resolve(scratch.top, one.ref):
            git_plumbing.call(layout.root, *_FETCH, str(scratch.top), f"+{one.ref}:{one.ref}")
        else:
            keep_base(layout, one)
        return content
    finally:
        scratch.remove()


def replicates_at_hand(layout: ProjectPaths, one: Cell) -> int:
    """How many replicates of the candidate its experiment has; 0 where there is none."""
    content = git.read(layout.root, one.ref, REPLICATES)
    return 0 if content is None else replicates_csv.count(content)


def grown(layout: ProjectPaths, one: Cell, n: int, say: Callable[[str], None]) -> list[Row]:
    """The first n replicates of `one`, whose settings say no number; measured where its experiment has fewer."""
    if replicates_at_hand(layout, one) < n:
        say(f"running {one.label} of {one.name}, n={n}")
        return replicates_csv.first(measure(layout, replace(one, settings=(*one.settings, f"replicates={n}"))), n)
    return replicates_csv.first(git.read(layout.root, one.ref, REPLICATES) or b"", n)


def keep_base(layout: ProjectPaths, one: Cell) -> None:
    """DVC makes no experiment where nothing was to be run: the base's own results are the cell's, under its name."""
    tree = one.tree or git.run(layout.root, "rev-parse", f"{one.base}^{{tree}}")
    date = newest_date(layout.root, one.base, one.base)
    made = git_plumbing.commit(layout.root, tree, (one.base,), f"{one.name}: nothing was to be run", date)
    git.run(layout.root, "update-ref", one.ref, made)
