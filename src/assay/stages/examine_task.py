"""examine_task: the doctor on the project's own task: its model, loss and augmentation, on its split examples.

`assay stage examine_task REPORT.json`, started by `assay doctor`; no stage of dvc.yaml. Reads data/split/train and
data/split/validation, never the test part, and writes nothing but the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.core import params_problems
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.data import storage
from assay.data.storage import Examples
from assay.doctor import Report, examine, first_steps
from assay.doctor.example_draws import MOST
from assay.replicates.train_and_eval_examples import NEEDED, sample, without
from assay.runtime import dvc_yaml, files
from assay.stages import task_parts
from assay.stages.check_run import few
from assay.training import batches, configured_task, device, task_interface


def main(root: Path, arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise UsageError(f"examine_task was given {len(arguments)} arguments", allowed="one path of a report")
    problems, params = params_problems.problems(dvc_yaml.parameters(root))
    if problems or params is None:
        raise problems[0] if problems else UsageError("params.yaml cannot be read")
    files.write_text(Path(arguments[0]), examined(root, params).json() + "\n")


def examined(root: Path, params: Params) -> Report:
    """The doctor's report on the task of `root`. Raises UsageError where there is nothing to look at."""
    layout = ProjectPaths(root)
    loaded = task_interface.load(params.task.name, root, params.model, params.loss.name)
    if loaded.model is None or (loaded.loss is None and not params.loss.name):
        raise UsageError(
            f"{loaded.file} trains by fit(), a loop of its own, and has no model() and loss() beside it",
            hint="call assay.doctor.examine in it, with your model, loss, optimizer and loaders",
        )
    evaluated, train = _part(layout, "validation"), _part(layout, "train")
    task = configured_task.load(params, root, train)
    train = few(sample(without(train, evaluated)[0], params.train.sample), MOST)
    precision = device.DTYPES[params.train.precision]
    both = batches.tensors(task, train, few(evaluated, MOST), precision)
    classes = None if train.classes is None else len(train.classes)

    def parts() -> dict[str, Any]:
        return task_parts.arguments(task, params, *both, batches.outputs(train), classes)

    return first_steps.with_findings(examine(**parts()), first_steps.of_parts(parts))


def _part(layout: ProjectPaths, name: str) -> Examples:
    return storage.read(layout.part(name), NEEDED)[0]
