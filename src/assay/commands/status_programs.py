"""Programs in `assay status`: those that the shell finds and that are not of the environment of this Assay."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from assay.commands.status_project import StatusProject
from assay.report.json_rows import StatusLine


def lines(_project: StatusProject) -> Iterator[StatusLine]:
    return programs()


def programs() -> Iterator[StatusLine]:
    """One line for each; `assay init` says them, too."""
    own = Path(sys.executable).parent
    dvc, assay = shutil.which("dvc"), shutil.which("assay")
    if dvc and Path(dvc).parent != own:
        yield StatusLine(topic="programs", text=f"{dvc} is of another environment than this Assay, {own}")
    if assay and Path(assay).parent != own:
        yield StatusLine(topic="programs", text=f"stages run by {assay}, and not by this Assay, {own}")
