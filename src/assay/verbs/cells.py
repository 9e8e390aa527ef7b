"""Cells: combinations of changes, each an experiment that DVC runs in a repository of its own.

The work tree may go on changing meanwhile. Interrupted, the same command goes on: cells that are experiments
already are read, not run. Settings that differ in nothing but step size and weight decay train together first.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from assay.history import plumbing
from assay.history.landing import newest_date
from assay.history.merging import merge
from assay.history.scratch import failed, lay_out, run, share_cache
from assay.outside import files, git
from assay.words import params
from assay.words.errors import UsageError
from assay.words.layout import Layout, Store
from assay.words.yaml12 import parse

REPLICATES = "results/replicates.csv"
Row = dict[str, str]
Say = Callable[[str], None]


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

    @property
    def label(self) -> str:
        return " ".join(self.changes) or "baseline"


def check_settings(settings: Sequence[str]) -> None:
    for setting in settings:
        if "=" not in setting or setting.startswith("-"):
            raise UsageError(f"-S {setting} is no setting", allowed="KEY=VALUE, as in `dvc exp run -S`")


def cell(layout: Layout, kind: str, changes: tuple[str, ...], branches: frozenset[str] = frozenset()) -> Cell:
    """The cell of `changes` on HEAD, some of which are branches; `kind` begins its experiment's name."""
    base = git.run(layout.root, "rev-parse", "HEAD")
    for branch in (change for change in changes if change in branches):
        base = _with_branch(layout.root, base, branch)
    settings = tuple(sorted(change for change in changes if change not in branches))
    name = f"{kind}-{files.digest(' '.join((base, *settings)).encode())[:8]}"
    return Cell(changes, base, settings, name)


def _with_branch(root: Path, base: str, branch: str) -> str:
    """The merge of `branch` into `base`, the same commit each time."""
    commit = git.resolve(root, branch)
    if commit is None:
        raise UsageError(f"there is no branch {branch!r}", allowed=git.run(root, "branch", "--format=%(refname:short)"))
    brought = merge(root, base, commit, experiment=False)
    return plumbing.commit(root, brought.tree, (base, commit), f"Merge {branch}", newest_date(root, base, commit))


def measure(layout: Layout, cells: Sequence[Cell], say: Say) -> list[list[Row]]:
    """Rows of results/replicates.csv of each cell, run unless it was. Raises UsageError for one that does not run."""
    missing = [one for one in cells if git.read(layout.root, one.ref, REPLICATES) is None]
    for family in _families(layout, missing):
        _ahead(layout, family, say)
    with ThreadPoolExecutor(_room(layout)) as pool:
        return list(pool.map(lambda one: _rows(layout, one, say), cells))


def _room(layout: Layout) -> int:
    """Cells at a time: one on an accelerator, else one for every two cores."""
    device = params.load(files.read_bytes(layout.params)).machine.device
    return 1 if device.startswith("cuda") else max(1, (os.cpu_count() or 1) // 2)


def _families(layout: Layout, cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells that can train together."""
    found: dict[tuple[str, bytes], list[Cell]] = {}
    for one in cells:
        content = git.read(layout.root, one.base, "params.yaml") or b""
        try:
            settings = params.changed(content, _values(one))
        except UsageError:
            continue  # its run will say what is wrong
        if settings.machine.execution not in ("auto", "fused"):
            continue
        found.setdefault((one.base, msgspec.json.encode(params.alike(settings))), []).append(one)
    return [family for family in found.values() if len(family) > 1]


def _values(one: Cell) -> dict[str, Any]:
    pairs = (setting.partition("=") for setting in one.settings)
    return {key: parse(f"value: {text}")["value"] for key, _, text in pairs}


def _ahead(layout: Layout, family: Sequence[Cell], say: Say) -> None:
    """Fill the cache of replicates. What goes wrong here costs time only: each run says it again."""
    scratch = lay_out(layout, family[0].base, Store(layout.root).root / "cells" / f"{family[0].base[:8]}-ahead")
    try:
        share_cache(layout.root, scratch.layout.root)
        code, said = run(
            [sys.executable, "-m", "dvc", "repro", "--quiet", "context", "split"], scratch.layout.root, layout.root
        )
        stage = [sys.executable, str(scratch.layout.root / "src" / "stage.py"), "ahead"]
        settings = [json.dumps(_values(one)) for one in family]
        if not code:
            code, said = run([*stage, *settings], scratch.layout.root, layout.root)
        last = (said.strip().splitlines() or ["no message"])[-1]
        if code:
            say(f"each of {len(family)} settings trains by itself: {last}")
        elif last.isdigit() and int(last):
            say(f"trained {last} replicates of {len(family)} settings together")
    finally:
        scratch.remove()


def _rows(layout: Layout, one: Cell, say: Say) -> list[Row]:
    known = git.read(layout.root, one.ref, REPLICATES)
    if known is None:
        say(f"running {one.label}")
        known = _run(layout, one)
    else:
        say(f"{one.label} is measured: {one.name}")
    return list(csv.DictReader(io.StringIO(known.decode())))


def _run(layout: Layout, one: Cell) -> bytes:
    scratch = lay_out(layout, one.base, Store(layout.root).root / "cells" / f"{one.base[:8]}-{one.name}")
    try:
        share_cache(layout.root, scratch.layout.root)
        options = [word for setting in one.settings for word in ("-S", setting)]
        command = [sys.executable, "-m", "dvc", "exp", "run", "--name", one.name, *options]
        code, said = run(command, scratch.layout.root, layout.root)
        if code:
            raise failed(f"{one.label} does not run", said, "mend it, then run the command again")
        content = files.read_bytes(scratch.layout.replicates)
        if git.resolve(scratch.top, one.ref):  # DVC makes no experiment where nothing was to be run
            plumbing.call(layout.root, "fetch", "--quiet", "--no-tags", str(scratch.top), f"{one.ref}:{one.ref}")
        return content
    finally:
        scratch.remove()


def version(found: Sequence[Sequence[Row]]) -> str:
    """The metric version of all cells. Raises UsageError where they differ."""
    versions = {row["metric_version"] for rows in found for row in rows}
    if len(versions) != 1:
        raise UsageError(
            f"the cells have the metric versions {', '.join(sorted(versions))}", mend="dvc exp remove the old"
        )
    return versions.pop()
