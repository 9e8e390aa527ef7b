"""The task of a project, as a test of its own sees it: what the fixture `assay_task` gives."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from assay.core import script_command
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.metrics import task_metrics
from assay.runtime import project_root, task_code, task_source
from assay.script import reported_result
from assay.testing import task_under_test
from assay.testing.contract import check_task
from assay.testing.contract_report import ContractReport
from assay.training.task_interface import MEMBERS


class ProjectTask:
    """One project's task. A member is an attribute: `assay_task.preprocess(inputs)`, `assay_task.METRICS`.

    `root` is the folder of dvc.yaml, `params` are its parameters, typed, with the defaults.
    """

    def __init__(self, root: Path, params: Params) -> None:
        self.root = root
        self.params = params

    def __getattr__(self, name: str) -> Any:
        """What task.py, or one of the three files of the task, has under this name."""
        if name.startswith("__") or self.params.is_script:
            raise AttributeError(name)
        for module in self._modules():
            if hasattr(module, name):
                return getattr(module, name)
        if name in MEMBERS:
            raise AttributeError(f"the task {self.params.task.name!r} has no {name}(): it leaves the default")
        raise AttributeError(f"the task {self.params.task.name!r} has no {name!r}")

    def _modules(self) -> Iterator[ModuleType]:
        return (task_source.load(self.root, self.params.task.name, part) for part in task_code.MEMBERS)

    def metric(self, targets: Any, predictions: Any) -> float:
        """The deciding metric, with the options of params.yaml: `targets` (N, …), `predictions` (N, …).

        Raises UsageError where it is no finite number.
        """
        asked = self.params.metric
        where = task_source.where(self.root, self.params.task.name, "metrics")
        module = task_source.load(self.root, self.params.task.name, "metrics")
        chosen = task_metrics.asked(module, asked, where)[asked.name]
        return task_metrics.score(chosen, asked.options, targets, predictions, "these predictions")

    def reported(self, folder: Path) -> float:
        """The number of a script that wrote its results into `folder`, read as `task.result` says."""
        if not self.params.is_script:
            raise UsageError(f"the task {self.params.task.name!r} is no script: its numbers come from metric()")
        result = self.params.task.reported
        file = script_command.fill(result.file, {"out": str(folder), "seed": 0}, quote=False)
        return reported_result.read(self.root / file, result.key, "the script")

    def check(self, params: Mapping[str, Any] | None = None, *, skip: Collection[str] = ()) -> ContractReport:
        """`assay.testing.check_task` of this project."""
        __tracebackhide__ = True
        return check_task(self.root, params, skip=skip)


@contextmanager
def around(folder: Path) -> Iterator[ProjectTask]:
    """The task of the project that `folder` lies in. Its modules are imported for this block alone.

    Raises UsageError where there is no project, or no valid params.yaml.
    """
    root = task_under_test.project(folder) or project_root.find(folder).root
    with task_under_test.imported_afresh(root):
        yield ProjectTask(root, task_under_test.parameters(root, "", None))
