"""`assay doctor --ladder`: four steps of debugging, which stop at the first that fails.

Covers: what a run would refuse, the steps in a process of their own (`stages.debugging_ladder`), the command of the
full run, which is printed and not started. Not covered: the steps themselves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.commands.check import check
from assay.commands.doctor import answered, refuse_unseen
from assay.core import params_problems
from assay.core.errors import Exit
from assay.runtime import dvc_yaml, project_root

NEXT = "dvc exp run"


@dataclass(frozen=True)
class Climbed:
    """The steps that were taken, each with `step`, `result`, `measured`, `threshold`, `reason`; `code` of a refusal."""

    steps: list[dict[str, Any]]
    code: int = 0

    @property
    def failed(self) -> bool:
        return any(one["result"] == "fail" for one in self.steps)

    @property
    def exit_code(self) -> int:
        return self.code or int(Exit.GATE if self.failed else Exit.DONE)

    def json(self) -> str:
        """One JSON object: `schema`, `steps`, and `next`, the command of the full run, or "" where a step failed."""
        following = "" if self.failed or self.code else NEXT
        return json.dumps({"schema": 1, "steps": self.steps, "next": following}, indent=2)


def climb(start: Path, key: str) -> Climbed:
    """Climb the ladder of the project around `start`; `key` is varied beside the rate, "" for none."""
    layout = project_root.find(start)
    refuse_unseen(layout, params_problems.problems(dvc_yaml.parameters(layout.root))[1])
    refused = check(layout.root, None, quiet=True).refusals
    first = {
        "step": "assay check",
        "result": "fail" if refused else "pass",
        "measured": f"{len(refused)} refusals",
        "threshold": "0",
        "reason": refused[0].text if refused else "",
    }
    if refused:
        return Climbed([first])
    steps, code = answered(layout.root, "debugging_ladder", *([key] if key else []))
    return Climbed([first, *(steps or [])], code)
