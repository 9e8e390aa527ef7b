"""`log(epoch, loss=…, …)` of a loop of the task's own: what it says becomes the curves of its replicate.

Covers: which values are taken, what they are called in the curves, what is noted. Not covered: files
(`replicates.training_progress`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

from torch import Tensor

from assay.core.errors import UsageError
from assay.core.short_repr import excerpt
from assay.replicates.replicate_result import Point, epoch_number

#: names that stand for a column of the curves, where that itself is not given
TRAIN, VALIDATION = "train_loss", "validation_loss"
_SAME: Mapping[str, str] = {
    "loss": TRAIN,
    "training_loss": TRAIN,
    "holdout_loss": VALIDATION,
    "val_loss": VALIDATION,
    "eval_loss": VALIDATION,
}
#: columns that are not the loop's
_TAKEN = ("replicate", "seed")
_HOW = "log(epoch, loss=…, …): a number first, then numbers, or Tensors of one, by name"

_NAN = float("nan")


class LoopLog:
    """Called as `log(epoch, loss=0.3, accuracy=0.9)`. What is said twice of one epoch counts as it was said last."""

    def __init__(self, tell: Callable[[Point], None], note: Callable[[str], None]) -> None:
        self._tell, self._note = tell, note
        self._noted: set[str] = set()

    def __call__(self, *epochs: Any, **values: Any) -> None:
        """Say values of an epoch: a whole number, or parts of one. Raises UsageError for what is no number."""
        named = values.pop("epoch", None)  # the logs of a Trainer hold it, too
        if len(epochs) > 1 or (not epochs and named is None):
            raise UsageError(f"log() was given {len(epochs)} values without a name", allowed=_HOW)
        epoch = _number("epoch", epochs[0] if epochs else named)
        if not math.isfinite(epoch) or epoch < 0:
            raise UsageError(f"log(): epoch is {epoch}", allowed="a number from 0")
        found: dict[str, float] = {column: _number(name, values[name]) for name, column in _columns(values).items()}
        for name, value in found.items():
            if not math.isfinite(value) and name not in self._noted:
                self._noted.add(name)
                self._note(f"{name} is {value} at epoch {epoch_number(epoch)}: no point is drawn where it is")
        self._tell(Point(epoch_number(epoch), found.pop(TRAIN, _NAN), found.pop(VALIDATION, _NAN), found))


def _columns(names: Iterable[str]) -> dict[str, str]:
    """Name of a value → its column. Of several names for one column the column's own has it, else the first."""
    given, found = list(names), dict[str, str]()
    for name in given:
        if name in _TAKEN or not name.strip() or not name.isprintable():
            raise UsageError(f"log(): no value can be called {excerpt(name)}", allowed="any other name")
        column = _SAME.get(name, name)
        found[name] = name if column in found.values() or (name != column and column in given) else column
    return found


def _number(name: str, value: Any) -> float:
    """`value` as a float. Raises UsageError where it is no number."""
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return float(value.detach().item())
    item = value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value
    if isinstance(item, Real) and not isinstance(item, bool):
        return float(item)
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    raise UsageError(f"log(): {name} is {excerpt(value)} ({type(value).__name__}{shape})", allowed=_HOW)
