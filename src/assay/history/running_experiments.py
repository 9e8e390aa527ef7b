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
from assay.history import killed_run_leftovers
from assay.runtime import dvc_yaml

#: where DVC notes each run, below the folder of `.dvc`
NOTES = (".dvc", "tmp", "exps", "run")
#: DVC's numbers for a run that is being laid out, and one that runs
_UNDER_WAY = (1, 2)


@dataclass(frozen=True)
class RunningExperiment:
    name: str
    base: str  # the commit that it was started on
    stage: str  # "" between two stages
    changed: list[str]  # parameters, as `lr 0.001 → 0.01`
    folder: Path = Path()  # of its dvc.yaml
    began: float = 0.0  # seconds of the epoch


def find(root: Path) -> list[RunningExperiment]:
    """Those of the project at `root`, by name."""
    return [replace(one, changed=changed(root, one.base, one.folder)) for one in noted(root)]


def noted(root: Path) -> list[RunningExperiment]:
    """The same, without what they changed."""
    place = dvc_yaml.dvc_root(root) or root
    inside = root.resolve().relative_to(place.resolve())
    found = {
        one.name: one for note in sorted(place.joinpath(*NOTES).glob("*/*.run")) for one in _read(root, inside, note)
    }
    return [found[name] for name in sorted(found)]


def _read(root: Path, inside: Path, note: Path) -> Iterator[RunningExperiment]:
    try:
        told: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
        folder = Path(str(told["root_dir"])) / str(told.get("dvc_dir") or ".dvc")
        base, name = str(told["baseline_rev"]), str(told.get("name") or note.stem)
        under_way, began = told.get("status") in _UNDER_WAY, note.stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # another version's, or being written
    project = folder.parent / inside
    stages = killed_run_leftovers.stages_at(project)
    if under_way and (stages or killed_run_leftovers.drivers_at(root)):
        yield RunningExperiment(name, base, stages[-1] if stages else "", [], project, began)


def changed(root: Path, base: str, project: Path) -> list[str]:
    """Parameters against the commit that the run was started on; none where either cannot be read."""
    try:
        contents = dvc_yaml.parameters_at(root, base) or b"", dvc_yaml.parameters(project)
        before, now = (params_yaml.strategy(params_yaml.resolved(content)) for content in contents)
    except AssayError:
        return []
    return strategy_diff.changes(before, now, {}, {}).parts
