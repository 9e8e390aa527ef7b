"""Cells: combinations of changes, each an experiment that DVC runs in a repository of its own.

The work tree may go on changing meanwhile. Interrupted, the same command goes on: cells that are experiments
already are read, not run. Settings that differ in nothing but step size and weight decay train together first.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from assay.acceptance.acceptance_transaction import newest_date
from assay.acceptance.merge_commit import merge
from assay.commands import compare_metric_options, scratch_experiment
from assay.commands.scratch_experiment import Cell as Cell
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.json_encoding import json_form
from assay.core.params_yaml import Judge, Params
from assay.core.paths import PIPELINE, REPLICATES, RULERS, ProjectPaths
from assay.core.yaml12 import parse
from assay.history import replicates_csv
from assay.history.replicates_csv import Row
from assay.metrics import result_tables
from assay.runtime import dvc_yaml, environment, files, git, git_plumbing, library_fingerprint, parent_watch
from assay.runtime.dvc_cli import DVC
from assay.scratch.dvc_repro import furnish
from assay.scratch.scratch_repo import lay_out, run
from assay.tags.strategy_events import NAMES, is_name

#: column of ours, not of the file: what the metric imported
PACKAGES = "packages"
Say = Callable[[str], None]


def check_settings(layout: ProjectPaths, settings: Sequence[str]) -> None:
    """Raises UsageError for what is no setting, and for a parameter that only stages of the user's own read."""
    pipeline = parse(git.read(layout.root, "HEAD", PIPELINE) or b"{}", PIPELINE)
    others = dvc_yaml.foreign(pipeline) - params_yaml.KEYS
    for setting in settings:
        if "=" not in setting or setting.startswith("-"):
            raise UsageError(f"-S {setting} is no setting", allowed="KEY=VALUE, as in `dvc exp run -S`")
        key = setting.partition("=")[0]
        if key.partition(".")[0] in others:
            raise UsageError(
                f"-S {setting}: {key} is read by stages of your own alone, and cells differ in what Assay's read",
                allowed=f"keys under {', '.join(params_yaml.STRATEGY)}",
                hint=f"dvc exp run -S {key}=VALUE for each value",
            )


def check_profile(asked: Params, settings: Iterable[str]) -> None:
    """Raises UsageError for a parameter that the overlay of its profile sets, whatever a setting says."""
    overlay = dict(params_yaml.leaves(asked.profiles[asked.profile]))
    for setting in settings:
        if (key := setting.partition("=")[0]) in overlay:
            raise UsageError(
                f"{setting} changes nothing: the profile {asked.profile} sets {key} to {overlay[key]}",
                allowed="parameters that the profile leaves alone",
                hint=f"change profiles.{asked.profile}.{key} in params.yaml",
            )


@dataclass(frozen=True)
class Wanted:
    """What a user wants of all cells: how their experiments' names begin, and how many replicates they train."""

    name: str
    replicates: int | None = None  # None: what params.yaml says

    @classmethod
    def checked(cls, name: str, replicates: int | None) -> Wanted:
        """Raises UsageError for a name that no experiment can have."""
        if not is_name(name):
            raise UsageError(f"--name {name!r} is no name for experiments", allowed=NAMES)
        return cls(name, replicates)

    @property
    def settings(self) -> tuple[str, ...]:
        return () if self.replicates is None else (f"replicates={self.replicates}",)


def cell(
    layout: ProjectPaths, wanted: Wanted, changes: tuple[str, ...], branches: frozenset[str] = frozenset()
) -> Cell:
    """The cell of `changes` on HEAD, some of which are branches."""
    base = git.run(layout.root, "rev-parse", "HEAD")
    for branch in (change for change in changes if change in branches):
        base = _with_branch(layout.root, base, branch)
    settings = tuple(sorted([*(change for change in changes if change not in branches), *wanted.settings]))
    name = f"{wanted.name}-{files.digest(' '.join((base, *settings)).encode())[:8]}"
    return Cell(changes, base, settings, name)


def _with_branch(root: Path, base: str, branch: str) -> str:
    """The merge of `branch` into `base`, the same commit each time."""
    commit = git.resolve(root, branch)
    if commit is None:
        raise UsageError(f"there is no branch {branch!r}", allowed=git.run(root, "branch", "--format=%(refname:short)"))
    brought = merge(root, base, commit, experiment=False)
    return git_plumbing.commit(root, brought.tree, (base, commit), f"Merge {branch}", newest_date(root, base, commit))


def judging(layout: ProjectPaths, cells: Sequence[Cell]) -> Judge:
    """How the cells were judged. Raises UsageError where that differs from cell to cell."""
    found = {msgspec.json.encode(one.judge): one.judge for one in map(partial(asked, layout), cells)}
    if len(found) != 1:
        raise UsageError("the cells differ in judge:", allowed="changes of the strategy, not of how it is judged")
    return next(iter(found.values()))


def asked(layout: ProjectPaths, one: Cell) -> Params:
    """All parameters of a cell."""
    return params_yaml.changed(dvc_yaml.parameters_at(layout.root, one.base) or b"", _values(one))


def _values(one: Cell) -> dict[str, Any]:
    pairs = (setting.partition("=") for setting in one.settings)
    return {key: parse(f"value: {text}")["value"] for key, _, text in pairs}


def fixed(measured: Iterable[Sequence[Row]]) -> bool:
    """Whether the records of all cells say that nothing in the task was random."""
    return all(row.get("fixed") == result_tables.YES for rows in measured for row in rows)


def measure(layout: ProjectPaths, cells: Sequence[Cell], say: Say) -> list[list[Row]]:
    """Rows of results/replicates.csv of each cell, run unless it was. Raises UsageError for one that does not run."""
    found = attempt(layout, cells, say)
    for one in found:
        if isinstance(one, UsageError):
            raise one
    return [one for one in found if not isinstance(one, UsageError)]


def attempt(layout: ProjectPaths, cells: Sequence[Cell], say: Say) -> list[list[Row] | UsageError]:
    """As `measure`, but what does not run leaves its error, and the others go on."""
    scratch_experiment.tidy(layout)
    missing = [one for one in cells if git.read(layout.root, one.ref, REPLICATES) is None]
    for family in _families(layout, missing):
        _ahead(layout, family, say)
    with ThreadPoolExecutor(room(layout)) as pool:
        return list(pool.map(lambda one: _tried(layout, one, say), cells))


def _tried(layout: ProjectPaths, one: Cell, say: Say) -> list[Row] | UsageError:
    try:
        return _rows(layout, one, say)
    except UsageError as error:
        return error


def room(layout: ProjectPaths) -> int:
    """Cells at a time: one on an accelerator, else one for every two cores."""
    machine = params_yaml.load(dvc_yaml.parameters(layout.root)).machine
    if environment.find(machine.device, ()).device != "cpu":
        return 1
    return max(1, parent_watch.processors() // 2)


def _families(layout: ProjectPaths, cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells that can train together: the model and how it is trained may differ from their base's, nothing else."""
    found: dict[tuple[str, bytes], list[Cell]] = {}
    for one in cells:
        if one.tree:
            continue  # its sources are not its base's
        content = dvc_yaml.parameters_at(layout.root, one.base) or b""
        try:
            base, settings = params_yaml.resolved(content), params_yaml.changed(content, _values(one))
        except UsageError:
            continue  # its run will say what is wrong
        shared = {name: getattr(base, name) for name in ("lr", "model", "train", "replicates")}
        same = msgspec.structs.replace(settings, **shared) == base
        typed = _values(one)
        if same and json_form(typed) == typed and settings.machine.execution in ("auto", "fused"):
            found.setdefault((one.base, msgspec.json.encode(params_yaml.alike(settings))), []).append(one)
    return [family for family in found.values() if len(family) > 1]


def _ahead(layout: ProjectPaths, family: Sequence[Cell], say: Say) -> None:
    """Fill the cache of replicates. What goes wrong here costs time only: each run says it again."""
    settings = [json.dumps(_values(one)) for one in family]
    base, name = family[0].base, files.digest("".join(settings).encode())[:8]
    folder = scratch_experiment.folder(layout, base, f"ahead-{name}")
    try:
        scratch = lay_out(layout, base, folder)
        furnish(scratch)
    except (UsageError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        say(f"each of {len(family)} settings trains by itself: {error}")
        return
    try:
        code, said = run([*DVC, "repro", "--quiet", "context", "split"], scratch.layout.root, layout.root)
        if not code:
            command = library_fingerprint.command("warm_grid_cache", *settings)
            code, said = run(command, scratch.layout.root, layout.root, f"{len(family)} settings together")
        last = (said.strip().splitlines() or ["no message"])[-1]
        if code:
            say(f"each of {len(family)} settings trains by itself: {last}")
        elif last.isdigit() and int(last):
            say(f"trained {last} replicates of {len(family)} settings together")
    finally:
        scratch.remove()


def _rows(layout: ProjectPaths, one: Cell, say: Say) -> list[Row]:
    known = git.read(layout.root, one.ref, REPLICATES)
    if known is None:
        say(f"running {one.label}")
        known = scratch_experiment.measure(layout, one)
    else:
        say(f"{one.label} is measured: {one.name}")
    content, metric = git.read(layout.root, one.ref, RULERS), asked(layout, one).metric.name
    packages = compare_metric_options.packages(content, metric, one.name)
    return [{**row, PACKAGES: packages} for row in replicates_csv.rows(known)]


def version(found: Sequence[Sequence[Row]]) -> str:
    """The metric version of all cells. Raises UsageError where they differ."""
    packages = {row.get(PACKAGES, "") for rows in found for row in rows} - {""}
    if len(packages) > 1:
        raise UsageError(
            f"the metrics of the cells imported {' and '.join(sorted(packages))}", hint="dvc exp remove the old"
        )
    versions = {row["metric_version"] for rows in found for row in rows}
    if len(versions) != 1:
        raise UsageError(
            f"the cells have the metric versions {', '.join(sorted(versions))}", hint="dvc exp remove the old"
        )
    return versions.pop()
