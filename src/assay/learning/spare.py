"""Spare lanes: copies behind the last lane, whose results nobody reads.

On a CPU torch's loops take whole vectors of numbers, two at a time, and compute the rest at the end of a tensor one by
one, some functions by another formula with other last bits (sigmoid, SiLU, softplus, ELU, Mish, GELU by tanh, powers).
That end is the last lane's, whichever that is: so its last bits would depend on the lanes beside it. Whether a model
has such a function shows in its first pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

#: numbers that torch's loops take at a time, at most: two vectors of 512 bits
LOOP = 32

#: functions with another formula for the rest, seen with torch 2.13 (`tests/learning/test_spare.py`)
_OTHER = frozenset(
    {"atan2", "atanh", "celu", "cosh", "elu", "exp2", "hypot", "logaddexp", "mish", "sigmoid"}
    | {"silu", "sinh", "softplus"}
)
_EXACT_POWERS = (0, 1, 2, 3, 0.5, -0.5, -1, -2)


class Rest:
    """What one kind of pass does with the rest of a loop."""

    def __init__(self) -> None:
        self.other: bool | None = None  # whether by another formula; None until it was seen

    def lanes(self, examples: int) -> int:
        """Spare lanes for a batch: they have a loop's numbers where each example has one number, or more."""
        return 0 if self.other is False or examples % LOOP == 0 else -(-(LOOP - 1) // examples)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around a pass: the first finds out whether spare lanes are needed."""
        if self.other is not None:
            yield
            return
        with _Watch() as watch:
            yield
        self.other = watch.other


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.other = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to keep away from the compiler means to import it, which takes longer than many a training

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        self.other = self.other or _other(func.overloadpacket.__name__.rstrip("_"), args, given)
        return func(*args, **given)


def _other(name: str, args: Sequence[Any], given: dict[str, Any]) -> bool:
    if name == "gelu":  # oneDNN's, where it takes it, has one formula
        inputs = args[0]
        return given.get("approximate") == "tanh" or inputs.dtype == torch.float64 or not inputs.is_contiguous()
    if name == "pow":
        return args[1] not in _EXACT_POWERS if isinstance(args[1], (int, float)) else True
    return name in _OTHER


def extended(tensors: Sequence[Tensor], lanes: int) -> list[Tensor]:
    """Copies of (lanes, …) tensors with `lanes` more, which are like the last."""
    return [torch.cat([one, one[-1:].expand(lanes, *one.shape[1:])]) for one in tensors]
