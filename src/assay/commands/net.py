"""`assay net`: what the candidate's network was given and said, for replicates that trained without a recorder.

Covers: a process of its own that trains one replicate again (`stages.record_net`). Not covered: showing it
(`commands.report`).
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from assay.commands.doctor import refuse_unseen
from assay.core import params_problems
from assay.core.errors import Exit, UsageError
from assay.core.paths import ProjectPaths
from assay.runtime import dvc_yaml, library_fingerprint, project_root


@dataclass(frozen=True)
class NetRecorded:
    """Exit code of the process that recorded, and what is to be done next."""

    code: int
    hint: str


def record_net(start: Path) -> NetRecorded:
    """Train one replicate of the project around `start` again; what the process refuses it says itself on stderr."""
    layout = project_root.find(start)
    problems, params = params_problems.problems(dvc_yaml.parameters(layout.root))
    if problems:
        raise problems[0]
    refuse_unseen(layout, params)
    if not layout.environment.is_file():
        raise UsageError(f"{layout.environment.relative_to(layout.root)} is not there", hint="dvc repro context")
    done = subprocess.run(library_fingerprint.command("record_net"), cwd=layout.root)
    return NetRecorded(done.returncode or int(Exit.DONE), _hint(layout))


def _hint(layout: ProjectPaths) -> str:
    name = layout.net.relative_to(layout.root).as_posix()
    if name in layout.pipeline.read_text(encoding="utf-8", errors="replace"):
        return "dvc repro, which keeps the record with the results; then assay report"
    return f"add `- {name}` to outs of the stage train in dvc.yaml; then dvc repro"
