"""What reading examples shows: tensors that are looked up by identity, and workers that all draw the same."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, SequentialSampler

from assay.doctor import tensor_tree, user_frames
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import COPIED_BYTES, bytes_of
from assay.doctor.state_restoration import seed_all
from assay.doctor.subject import NotApplicableError, Subject

#: examples that are read
READ = 8


def tensor_as_key(subject: Subject) -> list[Problem]:
    """A tensor that is looked up in a set or a dict: it is found by identity, never by its value."""
    loader = subject.train_loader
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise NotApplicableError("the loader has no dataset that is read by number")
    if bytes_of(loader.dataset) > COPIED_BYTES:
        raise NotApplicableError("the dataset is too large to be copied")
    dataset: Any = copy.deepcopy(loader.dataset)
    with _hashes_noted() as seen:
        seed_all()
        rows = [dataset[at] for at in range(min(READ, len(dataset)))]
        if loader.batch_sampler is not None:
            loader.collate_fn(rows)
    if not seen:
        return []
    return [
        Problem(
            places=[seen[0], "train_loader dataset"],
            reason="a tensor is looked up in a set or dict: it is compared by identity, and never found by its value",
            measured=f"{len(seen)} look-ups in {len(rows)} examples",
            threshold="0",
            next_step="look up numbers: int(tensor), or tensor.tolist()",
        )
    ]


@contextmanager
def _hashes_noted() -> Iterator[list[str]]:
    """Lines of the user's own code that ask a tensor for its hash while the block runs."""
    own = Tensor.__hash__
    seen: list[str] = []

    def noted(tensor: Tensor) -> int:
        frame = sys._getframe(1)
        if user_frames.is_users(frame.f_code.co_filename) and not isinstance(tensor, nn.Parameter):
            seen.append(user_frames.place(frame))
        return id(tensor)  # as torch's own

    Tensor.__hash__ = noted  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Tensor.__hash__ = own  # type: ignore[method-assign]


def workers_alike(subject: Subject) -> list[Problem]:
    """A generator that the dataset keeps, of which every worker process has the same copy."""
    loader = subject.train_loader
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset) or loader.num_workers < 2:
        raise NotApplicableError("the loader has no dataset that is read by number in several workers")
    if bytes_of(loader.dataset) > COPIED_BYTES or loader.worker_init_fn is not None:
        raise NotApplicableError("the dataset is too large to be copied, or worker_init_fn prepares each worker")
    reads = []
    for worker in (1, 2):
        dataset: Any = copy.deepcopy(loader.dataset)
        seed_all(worker)
        reads.append([tensor_tree.mapped(torch.clone, dataset[0]) for _ in range(2)])
    drawn = not tensor_tree.same(reads[0][0], reads[0][1])
    if not drawn or not tensor_tree.same(reads[0], reads[1]):
        return []
    return [
        Problem(
            places=["train_loader worker_init_fn", "train_loader dataset"],
            reason="the dataset keeps a generator of its own, and each worker has the same copy: their draws are equal",
            measured=f"{loader.num_workers} workers, equal draws",
            threshold="other draws in each worker",
            next_step="seed it in worker_init_fn from torch.initial_seed(), or draw from torch's or NumPy's global one",
        )
    ]


def never_shuffled(subject: Subject) -> list[Problem]:
    """Training examples that come in the same order in every epoch."""
    loader = subject.train_loader
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise NotApplicableError("the loader has no dataset that is read by number")
    if not isinstance(loader.sampler, SequentialSampler) or loader.batch_size is None or len(loader) < 2:
        return []
    return [
        Problem(
            places=["train_loader shuffle"],
            reason="examples come in the same order in every epoch: each batch is always the same examples",
            measured=f"{len(loader)} batches in order",
            threshold="another order in each epoch",
            next_step="shuffle=True",
        )
    ]


CONTRACTS = (Contract("workers-alike", "data", 92, workers_alike),)
CHECKS = (
    Contract("tensor-as-key", "data", 76, tensor_as_key, "warning", "exact"),
    Contract("never-shuffled", "data", 11, never_shuffled, "advice", "exact"),
)
