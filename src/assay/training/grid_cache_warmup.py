"""Replicates of several settings, trained ahead of the runs that will ask for them, together where they can be.

Covers: from a request and changes of its parameters to entries of the cache. Not covered: results; each run
takes its replicates from the cache and is the same as if it had trained them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from assay.core import params_yaml as parameters
from assay.core.json_encoding import json_form
from assay.core.params_yaml import Params
from assay.core.schemas import MeasureRequest
from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.assemble_measurement import ignored
from assay.runtime import dvc_yaml
from assay.training import device
from assay.training.missing_replicates import RequestRun
from assay.training.training_setup import prepare
from assay.training.vmap import mixed_settings

#: lanes of one training; each holds a lock on its entry of the cache, and systems limit open files to 256
LANES = 128


def ahead(
    request: MeasureRequest,
    root: Path,
    changes: Sequence[Mapping[str, Any]],
    late: Callable[[], list[str]] = list,
    before: Callable[[RequestRun], None] = ignored,
    recorder: str = "",
) -> int:
    """Train what `request` lacks under each of `changes` (dotted key → value) and can share lanes; how many replicates.

    `late` tells modules imported meanwhile that nobody had seen; `before` is given each group that is about to train;
    `recorder` is the module that takes down what the first network of each is given and says.
    Where `machine.devices` is set nothing is trained ahead: each run spreads its own replicates over them.
    Raises UsageError for what the task, the parameters or the data get wrong.
    """
    if request.devices is not UNSET:
        return 0
    content = dvc_yaml.parameters(root)
    families: dict[bytes, list[Params]] = {}
    for change in changes:
        settings = parameters.changed(content, change, request.profile)
        same = families.setdefault(_alike(settings), [])
        if settings not in same:
            same.append(settings)
    batch = max(2, LANES // len(request.replicates))
    parts = (same[start : start + batch] for same in families.values() for start in range(0, len(same), batch))
    return sum(_family(request, root, part, late, before, recorder) for part in parts if len(part) > 1)


def _alike(params: Params) -> bytes:
    """What settings that train together have in common."""
    return msgspec.json.encode(json_form(msgspec.to_builtins(parameters.alike(params))), order="deterministic")


def _family(
    request: MeasureRequest,
    root: Path,
    same: Sequence[Params],
    late: Callable[[], list[str]],
    before: Callable[[RequestRun], None],
    recorder: str,
) -> int:
    ready = prepare(request, root, same[0], samples.read(request, same[0]))
    if ready.task.fit is not None:
        return 0
    progress = assemble_measurement.watched(request, same[0])
    train = same[0].train
    try:
        with device.products(train.precision), device.determinism(train.deterministic) as nondeterministic:
            groups = [ready.group(request, settings, progress, nondeterministic) for settings in same]
            for group in groups:
                group.before, group.recorder = before, recorder
            return mixed_settings.train(groups, progress, late)
    finally:
        progress.close()
