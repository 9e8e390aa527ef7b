"""Seeds of a replicate: a sequence for each stream of chance, and the 32-bit seed that is shown."""

from __future__ import annotations

import hashlib

import numpy as np

from assay.core import variation

#: what streams that do not vary are drawn for, in place of a purpose and a number
SHARED = "shared by all replicates"


def sequence(seed: int, purpose: str, number: int, stream: str, *position: int) -> np.random.SeedSequence:
    """The seed sequence of `stream` at `position` (e.g. an epoch). Hashing keeps the key unambiguous.

    A stream that does not vary under `purpose` is the same for all purposes and numbers.
    """
    kind = variation.STREAMS.get(stream)
    if kind is not None and kind not in variation.varied(purpose):
        purpose, number = SHARED, 0
    key = f"{seed}/{purpose}/{number}/{stream}/{position}"
    return np.random.SeedSequence(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "little"))


def display(seed: int, purpose: str, number: int) -> int:
    """The 32-bit seed shown for a replicate, given to the global generators, and filled into a script's command."""
    return int(sequence(seed, purpose, number, "seed").generate_state(1, np.uint32)[0])
