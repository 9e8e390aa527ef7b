"""First weights from a file of safetensors: pretrained ones, or one's own of an earlier training.

Covers: a file that is none, names and shapes that differ from the model's, one sentence each. Not covered: fetching
weights, and names of another library's models.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from assay.core.errors import UsageError
from assay.core.params_yaml import Train
from assay.core.short_repr import listed
from assay.training import parameter_groups
from assay.training.task_interface import Task

#: how files of torch.save and of pickle begin
PICKLES = (b"PK\x03\x04", b"\x80")
#: names that an error lists at most
LISTED = 6


def load(task: Task, module: nn.Module, settings: Train) -> None:
    """Give `module` (in place) the weights of `train.start_from`, all but what `train.start_skip` names.

    Raises UsageError where the file or its tensors are not those of such a model.
    """
    if not settings.start_from:
        return
    given, wanted = _read(task.root / settings.start_from, settings.start_from), module.state_dict()
    skipped = parameter_groups.matching(settings.start_skip, wanted, "train.start_skip")
    tensors = {name: one for name, one in given.items() if name not in skipped}
    known = {name: one for name, one in wanted.items() if name not in skipped}
    _check_names(tensors, known, settings.start_from)
    _check_shapes(tensors, known, settings.start_from)
    with torch.no_grad():
        for name, one in tensors.items():
            known[name].copy_(one)


def _read(path: Path, said: str) -> dict[str, Tensor]:
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise _refuse(said, f"cannot be read ({error.strerror})") from error
    if head.startswith(PICKLES):
        raise UsageError(
            f"{said} in train.start_from is a pickle, which runs code when it is opened",
            allowed="a file of safetensors",
            hint=f"{_CONVERT.format(old=said, new=Path(said).with_suffix('.safetensors'))}, and name the new file",
        )
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise _refuse(said, f"is no whole file of safetensors ({error})") from error


#: reads tensors alone; refuses a pickle of anything else
_CONVERT = (
    'python -c "import torch, safetensors.torch as s; '
    "s.save_file(torch.load('{old}', map_location='cpu', weights_only=True), '{new}')\""
)


def _check_names(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], said: str) -> None:
    filled = {wanted[name].data_ptr() for name in given if name in wanted}
    missing = [name for name, one in wanted.items() if name not in given and one.data_ptr() not in filled]
    strange = [name for name in given if name not in wanted]
    if missing:
        raise _refuse(said, f"lacks {listed(missing, LISTED)} of the model", _or_skip(missing, strange))
    if strange:
        raise _refuse(
            said, f"has {listed(strange, LISTED)}, which the model has not", f"of the model: {listed(wanted, LISTED)}"
        )


def _or_skip(missing: list[str], strange: list[str]) -> str:
    other = f"; it has {listed(strange, LISTED)}" if strange else ""
    return f"all names of the model, or these in train.start_skip{other}"


def _check_shapes(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], said: str) -> None:
    for name, one in given.items():
        if one.shape != wanted[name].shape:
            raise _refuse(
                said,
                f"has {name} of shape {tuple(one.shape)}, and the model's is {tuple(wanted[name].shape)}",
                "the same architecture, or this name in train.start_skip",
            )


def _refuse(said: str, problem: str, allowed: str = "") -> UsageError:
    return UsageError(f"{said} in train.start_from {problem}", allowed=allowed, hint="correct it in params.yaml")
