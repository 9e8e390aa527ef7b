"""The frozen protocol: train the replicates of a request, predict, write, answer.

Covers: from a MeasureRequest to models, predictions, curves, log and a Measurement. Not covered: which
revision's files these are (the request is answered by the code of the tree it was started in), and what
the predictions are worth.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from numpy.typing import NDArray

from assay.data.examples import Examples
from assay.learning import device
from assay.learning.outcome import Outcome
from assay.learning.prepared import prepare
from assay.learning.progress import Progress
from assay.outside import files, seconds
from assay.words import params as parameters
from assay.words import records
from assay.words.errors import AssayError, UsageError
from assay.words.layout import Layout
from assay.words.params import Params
from assay.words.records import Identity, Measurement, MeasureRequest


def measure(request: MeasureRequest, root: Path, report: Callable[[str], None] | None = None) -> Measurement:
    """Answer `request` with the code and params.yaml of `root`.

    Raises UsageError for what the task, the parameters or the data get wrong, AssayError when every
    replicate diverges; then no answer is written.
    """
    seconds.mark("rest")
    layout = Layout(root)
    settings = parameters.resolved(files.read_bytes(layout.params), request.profile, str(layout.params))
    ready = prepare(request, root, settings)
    progress = Progress(Path(request.curves), Path(request.log), _epochs(request, settings), report)
    reading = seconds.mark("data")
    try:
        with (
            device.products(settings.train.precision),
            device.determinism(settings.train.deterministic) as nondeterministic,
        ):
            group = ready.group(request, settings, progress, nondeterministic)
            outcomes = group.outcomes()
        training = seconds.mark("training")
        _refuse_all_diverged(outcomes)
        for line in [*group.store.notes, *(f"{name} has no deterministic kernel" for name in nondeterministic)]:
            progress.say(line)
        answer = Measurement(
            identity=Identity(code=request.code, parameters=parameters.strategy(settings), data=ready.data),
            purpose=request.purpose,
            profile=request.profile,
            replicates=[one.record() for one in outcomes],
            left_out=ready.left_out,
            nondeterministic=sorted(nondeterministic),
            peak_memory=device.peak_memory(ready.device),
            notes=group.store.notes,
        )
        _write(request, outcomes, ready.evaluated)
        progress.rewrite(outcomes)
        files.write_bytes(Path(request.answer), records.encode(answer))
        writing = seconds.mark("writing")
        progress.log(f"seconds: reading {reading:.2f}, replicates {training:.2f}, writing {writing:.2f}")
    finally:
        progress.close()
    return answer


def _epochs(request: MeasureRequest, settings: Params) -> int:
    return settings.train.epochs * len(request.replicates)


def _refuse_all_diverged(outcomes: Sequence[Outcome]) -> None:
    if outcomes and all(one.diverged for one in outcomes):
        raise AssayError(
            f"all {len(outcomes)} replicates diverged, among them {outcomes[0].sentence}",
            mend="lower lr, or set train.clip",
        )


def _write(request: MeasureRequest, outcomes: Sequence[Outcome], evaluated: Examples) -> None:
    """Weights and predictions. Their bytes follow from the numbers alone: no time, commit or path is in them."""
    models, predictions = Path(request.models), Path(request.predictions)
    for stale in models.glob("*.safetensors"):
        stale.unlink()
    models.mkdir(parents=True, exist_ok=True)
    for one in outcomes:
        if one.diverged is None:
            files.write_bytes(models / f"{one.number}.safetensors", safetensors.torch.save(one.weights))
    _write_array(predictions / "predictions.npy", _stacked(outcomes))
    _write_array(predictions / "ids.npy", evaluated.ids)


def _stacked(outcomes: Sequence[Outcome]) -> NDArray[np.float32]:
    """(R, N, …) predictions; NaN where a replicate diverged."""
    made = [one.predictions for one in outcomes if one.predictions is not None and one.diverged is None]
    shapes = {array.shape for array in made}
    if len(shapes) != 1:
        raise UsageError(f"predictions of the replicates have the shapes {sorted(shapes)}", allowed="the same for all")
    stacked = np.full((len(outcomes), *shapes.pop()), np.nan, dtype=np.float32)
    for row, one in zip(stacked, outcomes, strict=True):
        if one.predictions is not None and one.diverged is None:
            row[...] = one.predictions
    return stacked


def _write_array(path: Path, array: NDArray[Any]) -> None:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    files.write_bytes(path, content.getvalue())
