"""Experiments that run now, in the workspace, under `--temp` or from the queue, by DVC's own notes about them.

Covers: name, changes so far, the stage at work. Not covered: waiting ones, and what a killed run left behind
(`history.killed_run_leftovers`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assay.changes import strategy_diff
from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.runtime import dvc_yaml
from assay.runtime.stage_processes import ProcessTable

#: where DVC notes each run, below the folder of `.dvc`
NOTES = (".dvc", "tmp", "exps", "run")
#: DVC's numbers for a run that is being laid out, and one that runs; it leaves them behind when the run has ended
_UNDER_WAY = (1, 2)
#: seconds by which clocks of processes and files differ at most
_LATE = 2.0


@dataclass(frozen=True)
class RunningExperiment:
    name: str
    base: str  # the commit that it was started on
    stage: str  # "" between two stages
    changed: list[str]  # parameters, as `lr 0.001 → 0.01`
    folder: Path = Path()  # of its dvc.yaml
    began: float = 0.0  # seconds of the epoch


@dataclass(frozen=True)
class _Note:
    name: str
    base: str
    folder: Path
    in_workspace: bool
    written: float  # seconds of the epoch


def find(root: Path) -> list[RunningExperiment]:
    """Those of the project at `root`, by name."""
    return [replace(one, changed=changed(root, one.base, one.folder)) for one in noted(root, ProcessTable())]


def noted(root: Path, table: ProcessTable) -> list[RunningExperiment]:
    """The same, without what they changed: of what DVC noted that for which a process is at work.

    That is a stage in the run's folder, or a DVC that was at work here when the note was written, and is.
    """
    found = {}
    stages, commands = table.stages(), table.commands()
    newest = {note.folder.resolve(): note for note in sorted(_notes(root), key=lambda note: note.written)}
    for place, note in newest.items():
        names = [one.name for one in stages if one.folder == place]
        driven = any(
            one.began <= note.written + _LATE and (one.in_workspace or not note.in_workspace)
            for one in commands
            if one.label == "dvc exp run" and one.folder == root.resolve()
        )
        if names or driven or not Path("/proc/self/cwd").exists():
            last = names[-1] if names else ""
            found[note.name] = RunningExperiment(note.name, note.base, last, [], note.folder, note.written)
    return [found[name] for name in sorted(found)]


def _notes(root: Path) -> Iterator[_Note]:
    """Notes about runs that had not ended when they were written; one of another version, or half written, is none."""
    place = dvc_yaml.dvc_root(root) or root
    inside = root.resolve().relative_to(place.resolve())
    for path in sorted(place.joinpath(*NOTES).glob("*/*.run")):
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            folder = (Path(str(told["root_dir"])) / str(told.get("dvc_dir") or ".dvc")).parent / inside
            if told.get("status") in _UNDER_WAY and folder.is_dir():
                name, base = str(told.get("name") or path.stem), str(told["baseline_rev"])
                yield _Note(name, base, folder, told.get("location") == "workspace", path.stat().st_mtime)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue


def changed(root: Path, base: str, project: Path) -> list[str]:
    """Parameters against the commit that the run was started on; none where either cannot be read."""
    try:
        contents = dvc_yaml.parameters_at(root, base) or b"", dvc_yaml.parameters(project)
        before, now = (params_yaml.strategy(params_yaml.resolved(content)) for content in contents)
    except AssayError:
        return []
    return strategy_diff.changes(before, now, {}, {}).parts
