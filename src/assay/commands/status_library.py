"""What `assay status` says of Assay itself: what an upgrade will run again, and which program the shell finds."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from assay.core import schemas
from assay.core.errors import AssayError
from assay.core.params_yaml import Params
from assay.core.paths import CODED, ProjectPaths
from assay.core.schemas import Environment
from assay.report.json_rows import StatusLine
from assay.runtime import files, library_fingerprint, stage_fingerprint


def training(layout: ProjectPaths, params: Params) -> str:
    """Fingerprint of what trains in the Assay that runs."""
    return stage_fingerprint.library_of(layout.root, library_fingerprint.TRAINING, params.task.name)


def upgraded(layout: ProjectPaths, params: Params) -> Iterator[StatusLine]:
    """What another Assay than that of the last run will run again, before it is spent."""
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
    if not params.is_script and known.library != training(layout, params):
        arms = "the candidate is" if params.baseline == "floor" else "both arms are"
        cost = f"what trains changed, {arms} measured again ({params.replicates} replicates each)"
    text = f"Assay changed since the last run: {', '.join(again)} will run again; {cost}"
    yield StatusLine(topic="library", text=text, mend="dvc exp run")


def programs() -> Iterator[StatusLine]:
    """Programs that the shell finds and that are not of the environment of this Assay."""
    own = Path(sys.executable).parent
    dvc, assay = shutil.which("dvc"), shutil.which("assay")
    if dvc and Path(dvc).parent != own:
        yield StatusLine(topic="programs", text=f"{dvc} is of another environment than this Assay, {own}")
    if assay and Path(assay).parent != own:
        yield StatusLine(topic="programs", text=f"stages run by {assay}, and not by this Assay, {own}")
