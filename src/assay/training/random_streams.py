"""Random streams: one for each use of chance in a replicate, none shared.

Covers: derivation of streams with `numpy.random.SeedSequence` from (seed, purpose, replicate, stream),
the 32-bit seed shown for a replicate, the global generators that a task's own code may use.
Not covered: the split's stream, which belongs to the data.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from assay.core import variation
from assay.replicates import replicate_seeds


@dataclass(frozen=True)
class Streams:
    """All streams of one replicate. Equal fields give equal streams; nothing else enters."""

    seed: int
    purpose: str
    number: int

    def sequence(self, stream: str, *position: int) -> np.random.SeedSequence:
        """The seed sequence of `stream` at `position` (e.g. an epoch). Hashing keeps the key unambiguous."""
        return replicate_seeds.sequence(self.seed, self.purpose, self.number, stream, *position)

    def integer(self, stream: str, *position: int) -> int:
        """64 bits below 2**63, as `torch.manual_seed` takes them."""
        return int(self.sequence(stream, *position).generate_state(1, np.uint64)[0] >> np.uint64(1))

    @property
    def display(self) -> int:
        """The 32-bit seed shown for this replicate, and given to the global generators."""
        return replicate_seeds.display(self.seed, self.purpose, self.number)

    def of_globals(self, *kinds: str) -> int:
        """32 bits for the global generators while `kinds` are drawn: shared by replicates where none of them varies."""
        if set(kinds).isdisjoint(variation.varied(self.purpose)):
            return replicate_seeds.display(self.seed, replicate_seeds.SHARED, 0)
        return self.display

    def order(self, epoch: int, examples: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(examples,) the order in which this epoch visits them."""
        return np.random.Generator(np.random.PCG64(self.sequence("order", epoch))).permutation(examples)

    def generator(self, stream: str, device: torch.device) -> torch.Generator:
        generator = torch.Generator(device=device)
        generator.manual_seed(self.integer(stream))
        return generator


def seed_globals(seed: int, torch_seed: int | None = None) -> None:
    """Seed Python's, NumPy's (32 bits) and torch's global generators, for task code that draws from them."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    _seed_torch(seed if torch_seed is None else torch_seed)


def _seed_torch(seed: int) -> None:
    """`torch.manual_seed`, less the stack trace it formats for accelerators that may start later (1 ms a call)."""
    torch.default_generator.manual_seed(seed)
    if _cuda():
        torch.cuda.manual_seed_all(seed)


def _cuda() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


class Globals:
    """State of the global generators: Python's, NumPy's, torch's, and those of accelerators in use."""

    def __init__(self) -> None:
        self.python: Any = random.getstate()
        self.numpy: Any = np.random.get_state(legacy=True)
        self.torch = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state_all() if _cuda() else []

    @classmethod
    def of(cls, state: dict[str, Any]) -> Globals:
        """The inverse of `state()`."""
        made = cls.__new__(cls)
        made.python, made.numpy, made.torch, made.cuda = (state[name] for name in ("python", "numpy", "torch", "cuda"))
        return made

    def state(self) -> dict[str, Any]:
        return {"python": self.python, "numpy": self.numpy, "torch": self.torch, "cuda": self.cuda}

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Globals)
            and self.python == other.python
            and all(np.array_equal(one, two) for one, two in zip(self.numpy, other.numpy, strict=True))
            and all(map(torch.equal, [self.torch, *self.cuda], [other.torch, *other.cuda]))
        )

    __hash__ = None  # type: ignore[assignment]


@contextmanager
def untouched() -> Iterator[None]:
    """Leave the global generators as they were, whatever the block draws."""
    before = Globals()
    try:
        yield
    finally:
        before.restore()
