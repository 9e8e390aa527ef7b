"""Everything that runs for a project now: experiments in the workspace, under `--temp` and from the queue, runs of
`dvc repro`, and those that commands of ours have in repositories of their own.

Covers: which processes belong together, what the run is called. Reads, and starts nothing. Not covered: how far it is
(`commands.watch_arms`), what it changed (`history.running_experiments`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.core.paths import STAGES
from assay.history import running_experiments
from assay.runtime import dvc_yaml
from assay.runtime.stage_processes import ProcessTable, StageProcess

#: stage that trains an accepted strategy or a confirmation, by a request
MEASURE = "measure"


@dataclass(frozen=True)
class LiveRun:
    """One run. `processes` are its stages at work, with those that they started."""

    folder: Path  # of its dvc.yaml; of a confirmation where that writes
    name: str
    base: str = ""  # the commit that it was started on, "" where nobody says
    processes: Sequence[StageProcess] = field(default_factory=list)
    began: float = 0.0  # seconds of the epoch

    @property
    def stage(self) -> str:
        """The stage of dvc.yaml at work, else another one; "" between two."""
        names = [one.name for one in self.processes]
        return next((name for name in reversed(names) if name in STAGES), names[-1] if names else "")


def find(root: Path, table: ProcessTable) -> list[LiveRun]:
    """Runs of the project at `root`, by the time at which they began."""
    groups: dict[Path, list[StageProcess]] = {}
    for one in _ours(root, table.stages()):
        groups.setdefault(_place(one, groups), []).append(one)
    noted = {one.folder.resolve(): one for one in running_experiments.noted(root, table)}
    found = [
        LiveRun(
            folder=folder,
            name=noted[folder].name if folder in noted else _name(group[0], table, folder == root.resolve()),
            base=noted[folder].base if folder in noted else group[0].told.get("DVC_EXP_BASELINE_REV", ""),
            processes=group,
            began=min([one.began for one in group] + ([noted[folder].began] if folder in noted else [])),
        )
        for folder, group in groups.items()
    ]
    between = [
        LiveRun(folder, one.name, one.base, [], one.began) for folder, one in noted.items() if folder not in groups
    ]
    return sorted([*found, *between], key=lambda run: (run.began, str(run.folder)))


def commands(root: Path, table: ProcessTable) -> list[str]:
    """Labels of commands at work that run stages of the project at `root`, or are about to."""
    home = root.resolve()
    near = (one for one in table.commands() if one.folder.is_relative_to(home) or one.folder in home.parents)
    return list(dict.fromkeys(one.label for one in near))


def _ours(root: Path, stages: Sequence[StageProcess]) -> list[StageProcess]:
    """Stages at work for this project: in its folder, or started for it by DVC or by us elsewhere."""
    home, place = root.resolve(), (dvc_yaml.dvc_root(root) or root).resolve()
    inside = home.relative_to(place)

    def ours(one: StageProcess) -> bool:
        if one.folder == home:
            return True
        told = one.told.get("DVC_ROOT")
        if told is None or Path(told).resolve() != place:
            return False
        return one.name == MEASURE or one.folder.parts[len(one.folder.parts) - len(inside.parts) :] == inside.parts

    return [one for one in stages if ours(one)]


def _place(one: StageProcess, groups: dict[Path, list[StageProcess]]) -> Path:
    """The folder of the run that a process belongs to: that of the stage that started it, else its own."""
    above = next((folder for folder, group in groups.items() if one.parent in {each.pid for each in group}), None)
    if above is not None:
        return above
    return Path(one.arguments[0]).parent.parent if one.name == MEASURE and one.arguments else one.folder


def _name(first: StageProcess, table: ProcessTable, workspace: bool) -> str:
    label = table.started_by(first.pid)
    return first.told.get("DVC_EXP_NAME") or label or ("assay stage" if workspace else first.folder.name)
