"""The section `task` of params.yaml: a task's modules by their name, or a script by its command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from assay.core import script_command
from assay.core.errors import UsageError
from assay.core.params_section import Section
from assay.core.script_section import ReportedResult

#: keys that belong to a script
_OF_SCRIPT = ("result", "files", "ruler", "keep", "parallel", "timeout", "seed")


class TaskSection(Section, frozen=True, kw_only=True):
    #: which folder of tasks; where the task is a task.py, a label
    name: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "task"
    fixed: bool = False  # nothing in the task is random: replicates that are all alike count as one fixed value
    command: str = ""  # a script of your own in place of a task's modules; what follows belongs to it
    result: ReportedResult | None = None
    files: list[str] = []  # files and folders that the script reads besides what it imports
    ruler: list[str] = []  # files that compute the number; without any its ruler is unproven
    keep: list[str] = []  # files to keep of each replicate, such as weights: copied, never opened
    parallel: Annotated[int, Meta(ge=1)] = 1  # replicates at a time
    timeout: Annotated[float, Meta(gt=0)] | None = None  # seconds that a replicate may take
    seed: Literal["none"] | None = None  # the command takes no {seed}

    @property
    def reported(self) -> ReportedResult:
        """Where the number of a script stands; `check` has seen that it is there."""
        assert self.result is not None
        return self.result


_NO_SCRIPT = TaskSection(name="none")


def check(task: TaskSection, parameters: Mapping[str, Any], where: str) -> None:
    """Refuse a script's section that is not whole, and one of no script. `parameters`: dotted name → value."""
    if not task.command:
        strange = next((name for name in _OF_SCRIPT if getattr(task, name) != getattr(_NO_SCRIPT, name)), "")
        if strange:
            raise UsageError(
                f"{where} has task.{strange} and no task.command", hint="add task.command, or remove it in params.yaml"
            )
        return
    if task.result is None:
        raise UsageError(
            f"{where} lacks task.result",
            allowed='result: {file: "{out}/metrics.json", key: val.accuracy, direction: maximize}',
            hint="add it under task: in params.yaml",
        )
    script_command.check(task.command, parameters, task.seed is not None, where)
    for name, templates in {"result.file": [task.result.file], "keep": task.keep}.items():
        script_command.check_path(templates, f"{where}: task.{name}")
