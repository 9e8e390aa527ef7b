"""dvc.yaml as provenance needs it: what each stage declares. Also where DVC runs us, and for whom."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.outside import files
from assay.words.errors import UsageError
from assay.words.layout import Layout, Store
from assay.words.yaml12 import parse


@dataclass(frozen=True)
class Run:
    """The project that runs, and the real repository behind a `--temp` or `--queue` copy of it."""

    layout: Layout
    home: Path  # the real project folder; equals layout.root in the workspace
    experiment: str  # DVC's name for the experiment, "" outside of one

    @property
    def store(self) -> Store:
        return Store(self.home)


def current(root: Path) -> Run:
    """The run that this process belongs to. `root` holds dvc.yaml."""
    home = os.environ.get("DVC_ROOT")
    return Run(
        layout=Layout(root),
        home=Path(home) if home else root,
        experiment=os.environ.get("DVC_EXP_NAME", ""),
    )


def dependencies(layout: Layout, task: str) -> dict[str, list[str]]:
    """Stage → paths that dvc.yaml declares as its dependencies, `${task.name}` filled in."""
    declared = _stages(layout)
    return {
        stage: [re.sub(r"\$\{\s*task\.name\s*\}", task, str(path)) for path in entry.get("deps", [])]
        for stage, entry in declared.items()
    }


def _stages(layout: Layout) -> dict[str, Any]:
    stages = parse(files.read_bytes(layout.pipeline), "dvc.yaml").get("stages")
    if not isinstance(stages, dict):
        raise UsageError("dvc.yaml has no stages", mend="bring it back with `git checkout HEAD -- dvc.yaml`")
    return stages
