"""Batches of unequal examples, collated here or by processes of torch's DataLoader: the same ones either way.

Whatever `collate()` draws comes from a seed of its own for each batch, so that neither how many processes load nor
where training was resumed changes a batch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from assay.core.errors import AssayError
from assay.training import random_streams
from assay.training.model_inputs import CollatedInputs


class _Batches(Dataset[Any]):
    """One item a batch."""

    def __init__(self, inputs: CollatedInputs, rows: Sequence[Tensor], seeds: Sequence[int]) -> None:
        self.inputs, self.rows, self.seeds = inputs, rows, seeds

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, step: int) -> Any:
        """The batch of a step, or the known error that it ended in: a process hands on no other sentence whole."""
        with random_streams.untouched():
            random_streams.seed_globals(self.seeds[step] % 2**32, self.seeds[step])
            try:
                return self.inputs[self.rows[step]]
            except AssayError as error:
                return error


def batches(
    inputs: CollatedInputs, rows: Sequence[Tensor], seeds: Sequence[int], skip: int, loaders: int
) -> Iterator[Any]:
    """Inputs of each step after the first `skip`. Raises AssayError where a loading process ends before its time."""
    context = "fork" if loaders and sys.platform == "linux" else None
    loader = DataLoader(
        _Batches(inputs, rows, seeds),
        batch_size=None,
        sampler=range(skip, len(rows)),
        num_workers=loaders,
        multiprocessing_context=context,
    )
    try:
        for batch in loader:
            if isinstance(batch, AssayError):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise AssayError(
            "a process that loads examples was killed, or ran out of memory",
            hint="set machine.loaders to 0 in params.yaml",
        ) from error
