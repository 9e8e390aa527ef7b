"""`assay doctor`: what can be proved wrong in the project's own training code, before it costs hours.

Covers: a process of its own that examines the task (`stages.examine_task`), and what its report means for an exit
code. Not covered: the checks (`assay.doctor`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.core import params_problems
from assay.core.errors import Exit, UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.runtime import dvc_yaml, library_fingerprint, project_root

#: gravest first; `never` asks for nothing
REQUIRED = {"error": ("error",), "warning": ("error", "warning"), "never": ()}


@dataclass(frozen=True)
class Examined:
    """The report of the process that examined the task; `code` is its exit code where it refused, and `report` empty.

    `report` is the object that `assay.doctor.Report.json` writes.
    """

    report: dict[str, Any]
    code: int

    @property
    def findings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.report.get("findings", [])
        return found

    @property
    def failed(self) -> list[dict[str, Any]]:
        return [one for one in self.findings if one["result"] == "fail"]

    def exit_code(self, require: str) -> int:
        """That of a refusal, or 5 where a failure is as grave as `require` asks about."""
        if self.code:
            return self.code
        return int(Exit.GATE if any(one["level"] in REQUIRED[require] for one in self.failed) else Exit.DONE)


def doctor(start: Path) -> Examined:
    """Examine the task of the project around `start`; what the process refuses it says itself on stderr."""
    layout = project_root.find(start)
    problems, params = params_problems.problems(dvc_yaml.parameters(layout.root))
    if problems:
        raise problems[0]
    refuse_unseen(layout, params)
    report, code = answered(layout.root, "examine_task")
    return Examined(report or {}, code)


def refuse_unseen(layout: ProjectPaths, params: Params | None) -> None:
    """Raise UsageError where there is no task of parts, or no split yet."""
    if params is not None and params.is_script:
        raise UsageError(
            f"the task is a script, {params.task.command!r}: its model and loss are its own",
            hint="call assay.doctor.examine in it, with your model, loss, optimizer and loaders",
        )
    for part in (layout.part("train"), layout.part("validation")):
        if not part.is_dir():
            raise UsageError(f"{part.relative_to(layout.root)} is not there", hint="dvc repro split")


def answered(root: Path, stage: str, *arguments: str) -> tuple[Any, int]:
    """What a stage in a process of its own writes into its first argument, and its exit code; None where it refuses."""
    with tempfile.TemporaryDirectory(prefix="assay-doctor-") as folder:
        answer = Path(folder) / "answer.json"
        command = library_fingerprint.command(stage, str(answer), *arguments)
        # what the task prints must not stand among the lines of --json
        done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stdout=sys.stderr)
        if done.returncode or not answer.is_file():
            return None, done.returncode or int(Exit.BUG)
        return json.loads(answer.read_text(encoding="utf-8")), int(Exit.DONE)
