"""measure: an accepted strategy trains and predicts, with its own task code and parameters, in a process of its own.

`assay stage measure REQUEST.json`, in the strategy's tree; request and answer are records of `assay.core.schemas`.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Sequence
from pathlib import Path

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.schemas import Measurement, MeasureRequest
from assay.replicates import assemble_measurement, split_examples
from assay.replicates.assemble_measurement import NOBODY, Watch
from assay.runtime import dvc_yaml, files, timing, tracked_code_check


def main(root: Path, arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise UsageError(f"measure was given {len(arguments)} arguments", allowed="one path of a request")
    request = schemas.decode(files.read_bytes(Path(arguments[0])), MeasureRequest, arguments[0])
    measured(
        request, root, Watch(lambda: tracked_code_check.check_tree(root, dvc_yaml.current(root).home, "measure"), list)
    )


def measured(request: MeasureRequest, root: Path, watch: Watch = NOBODY) -> tuple[Measurement, list[str]]:
    """The answer to `request` with the code and params.yaml of `root`, and modules that were imported unseen for it.

    What trains is imported when something has to be trained: torch takes a second, the cache's answer a tenth of it.
    """
    timing.mark("rest")
    settings = assemble_measurement.requested(request, root)
    sample = split_examples.read(request, settings)
    found = assemble_measurement.at_hand(request, settings, sample)
    timing.mark("data")
    if found is not None:
        watch.done(found.store)
        return assemble_measurement.write_kept(request, settings, sample, found), found.told.unproven
    gc.disable()  # as in assay/__main__.py
    learning = importlib.import_module("assay.training.train_and_predict")
    gc.enable()
    timing.mark("imports")
    answer: tuple[Measurement, list[str]] = learning.trained(request, root, settings, sample, watch)
    return answer
