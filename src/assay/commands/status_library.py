"""What `assay status` says of Assay itself: what an upgrade will run again, before it is spent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assay.baseline.accepted_strategy import FLOOR
from assay.commands.status_project import StatusProject
from assay.core import schemas
from assay.core.errors import AssayError
from assay.core.paths import CODED
from assay.core.schemas import Environment
from assay.report.json_rows import StatusLine
from assay.runtime import files, library_fingerprint, stage_fingerprint


def training(root: Path, task: str) -> str:
    """Fingerprint of what trains in the Assay that runs."""
    return stage_fingerprint.library_of(root, library_fingerprint.TRAINING, task)


def lines(project: StatusProject) -> Iterator[StatusLine]:
    """Nothing where the last run was of this Assay."""
    layout, params = project.layout, project.params
    if params is None or project.accepted:
        return
    try:
        last = {
            stage: stage_fingerprint.recorded(layout, stage).library for stage in CODED if layout.code(stage).is_file()
        }
        known = schemas.decode(files.read_bytes(layout.environment), Environment, str(layout.environment))
    except AssayError:
        return  # `context` was never run, or will write them anew
    task = params.task.name
    again = [stage for stage, found in last.items() if found != stage_fingerprint.library_of(layout.root, stage, task)]
    if not again:
        return
    cost = "nothing is trained"
    if not params.is_script and known.library != training(layout.root, task):
        arms = "the candidate is" if params.baseline == FLOOR else "both arms are"
        cost = f"what trains changed, {arms} measured again ({params.replicates} replicates each)"
    text = f"Assay changed since the last run: {', '.join(again)} will run again; {cost}"
    yield StatusLine(topic="library", text=text, hint="dvc exp run")
