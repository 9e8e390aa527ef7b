"""What a task's sources and params.yaml get wrong together, said without running them.

Covers: files and members that are missing, keyword arguments of `prepare()`, `model()` and the metric, its name.
Not covered: what only running tells (`stages.check_run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assay.core import params_problems
from assay.core.errors import AssayError, UsageError
from assay.core.params_yaml import Params
from assay.runtime import task_code, task_source

#: function of the task → (part of the task, section of params.yaml with its keyword arguments)
OPTIONS = {"prepare": (task_code.DATA, "data"), "model": (task_code.LEARNING, "model")}


def of_members(root: Path, params: Params) -> Iterator[AssayError]:
    """Members that are missing, then keyword arguments that do not fit."""
    for part in task_code.MEMBERS:
        try:
            source = task_source.read(root, params.task.name, part)
            if part == task_code.LEARNING:
                task_source.check_loss(source, task_source.where(root, params.task.name, part), params.loss.name)
        except UsageError as error:
            yield error
    given = {"data": params.data, "model": params.model}
    for function, (part, section) in OPTIONS.items():
        try:
            source = task_source.read(root, params.task.name, part)
        except UsageError:
            continue
        yield from task_source.option_problems(source, function, given[section], section)


def of_metric(root: Path, params: Params) -> Iterator[AssayError]:
    """A deciding metric that METRICS does not have, and options that it does not take."""
    if params.metric.name == params_problems.STAND_INS["metric.name"]:
        return  # said of params.yaml
    try:
        source = task_source.read(root, params.task.name, task_code.METRICS)
    except UsageError:
        return
    known = task_source.metrics(source)
    if known is not None and params.metric.name not in known:
        yield UsageError(
            f"params.yaml: metric.name is {params.metric.name!r}",
            allowed=f"{', '.join(known)} (METRICS in {task_source.where(root, params.task.name, task_code.METRICS)})",
            hint="set metric.name in params.yaml",
        )
    elif known and (function := known[params.metric.name]):
        yield from task_source.option_problems(source, function, params.metric.options, "metric.options")
