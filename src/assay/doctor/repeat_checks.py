"""What must be the same twice: an example read again, a loss at equal seeds; and rows at the edge of the data."""

from __future__ import annotations

import copy
import math
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.example_draws import COPIED_BYTES, bytes_of, input_and_target
from assay.doctor.operation_trace import placed
from assay.doctor.state_restoration import seed_all
from assay.doctor.subject import NotApplicableError, NotRunError, Subject

#: examples that are read twice
READ = 4


def changing_dataset(subject: Subject) -> list[Problem]:
    """Reading an example must not change it: in-place augmentation or scaling of what the dataset keeps."""
    loader = subject.train_loader
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise NotApplicableError("the loader has no dataset that is read by number")
    if bytes_of(loader.dataset) > COPIED_BYTES:
        raise NotRunError("the dataset is too large to be copied")
    dataset = copy.deepcopy(loader.dataset)
    for index in range(min(READ, len(dataset))):  # type: ignore[arg-type]
        before = [one.clone() for one in _held(dataset)]
        first = tensor_tree.mapped(Tensor.clone, _read(dataset, index))
        changed = not tensor_tree.same(before, _held(dataset))
        if changed and not tensor_tree.same(first, tensor_tree.mapped(Tensor.clone, _read(dataset, index))):
            return [
                Problem(
                    places=["train_loader dataset"],
                    reason="reading an example changes it: the next epoch sees other data",
                    measured=f"example {index} differs when it is read again at equal seeds",
                    threshold="the same example",
                    next_step="copy before changing: x = self.x[index].clone()",
                )
            ]
    return []


def _held(tree: Any, depth: int = 4) -> list[Tensor]:
    """Tensors and arrays that an object keeps, as tensors that share their memory."""
    if isinstance(tree, Tensor):
        return [tree.detach()]
    if isinstance(tree, np.ndarray):
        return [torch.from_numpy(tree)] if tree.dtype.kind in "fiub" and tree.flags.writeable else []
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    if not isinstance(tree, dict | list | tuple) and hasattr(tree, "__dict__"):
        inside = vars(tree).values()
    return [found for one in islice(inside, 10_000) for found in _held(one, depth - 1)] if depth else []


def _read(dataset: Any, index: int) -> Any:
    seed_all(index)
    return dataset[index]


def same_loss_twice(subject: Subject) -> list[Problem]:
    """One seed gives one loss: else the first module whose output differs."""
    if not subject.copied:
        raise NotRunError("the model cannot be copied")
    first = subject.model
    try:
        one, two = (_of_a_copy(subject, first) for _ in range(2))
        if one == two or not math.isfinite(one):
            return []
        place = _first_that_differs(subject, first)
    finally:
        subject.model = first
    return [
        Problem(
            places=[place, "model"] if place != "model" else ["model"],
            reason="one seed twice gives two losses: something draws from a generator of its own, or keeps state",
            measured=f"{one:.6g} and {two:.6g} for the same batch, weights and seeds",
            threshold="equal",
            next_step="draw from torch's own generator, or seed the one that is kept",
        )
    ]


def _of_a_copy(subject: Subject, model: nn.Module) -> float:
    """Loss of a fresh copy, with the state of whatever generators the model keeps."""
    subject.model = copy.deepcopy(model).train()
    return float(subject.value(subject.batch).detach())


def _first_that_differs(subject: Subject, model: nn.Module) -> str:
    runs: list[list[tuple[str, Any]]] = []
    for _ in range(2):
        subject.model = copy.deepcopy(model).train()
        seen: list[tuple[str, Any]] = []

        def note(name: str, seen: list[tuple[str, Any]] = seen) -> Any:
            def hook(module: nn.Module, _given: Any, output: Any) -> None:
                seen.append((placed(name, module), tensor_tree.mapped(_kept, output)))

            return hook

        handles = [one.register_forward_hook(note(name)) for name, one in subject.model.named_modules()]
        try:
            subject.run(subject.batch)
        finally:
            for handle in handles:
                handle.remove()
        runs.append(seen)
    pairs = zip(*runs, strict=False)
    return next((name for (name, one), (_, two) in pairs if not tensor_tree.same(one, two)), "loss")


def _kept(output: Tensor) -> Tensor:
    return output.detach().clone()


def edge_rows(subject: Subject) -> list[Problem]:
    """The largest, smallest and most constant examples must give a finite loss and gradient, as the others do."""
    part = subject.train
    if part.examples is None or part.collate is None:
        raise NotApplicableError(part.why or "single examples cannot be had")
    rows = [_numbers_of(input_and_target(one)[0]) for one in part.examples]
    known = [(at, one) for at, one in enumerate(rows) if one is not None and bool(one.isfinite().all())]
    if not known:
        raise NotApplicableError("inputs are not floating-point numbers")
    size = min(tensor_tree.rows(subject.batch, 0) or 8, len(known))
    sizes = sorted(known, key=lambda pair: float(pair[1].abs().max()))
    flat = sorted(known, key=lambda pair: float(pair[1].std(correction=0)))
    middle = [at for at, _ in sizes[len(sizes) // 2 :][:size]] or [sizes[0][0]]
    if not _finite(subject, part.collate([part.examples[at] for at in (middle * size)[:size]])):
        raise NotApplicableError("examples in the middle have no finite loss and gradient either")
    for what, chosen in (("smallest", sizes[:1]), ("largest", sizes[-1:]), ("most constant", flat[:1])):
        at = chosen[0][0]
        if not _finite(subject, part.collate([part.examples[one] for one in [at, *(middle * size)][:size]])):
            index = part.indices[at] if part.indices else at
            return [
                Problem(
                    places=["model", "loss", "train_loader inputs"],
                    reason=f"loss or gradient is not finite for example {index}, whose inputs are the {what}",
                    measured="NaN or infinite",
                    threshold="finite",
                    next_step="look for log, sqrt, a power or a division at 0, and add a small number inside",
                )
            ]
    return []


def _finite(subject: Subject, batch: Any) -> bool:
    subject.reset()
    subject.model.train()
    value = subject.value(batch)
    if not math.isfinite(float(value.detach())):
        return False
    gradients = subject.gradients(batch, [one for _, one in subject.trained])
    return all(one is None or bool(one.isfinite().all()) for one in gradients)


def _numbers_of(inputs: Any) -> Tensor | None:
    found = [one.detach().float().flatten() for one in tensor_tree.leaves(inputs) if one.is_floating_point()]
    return torch.cat(found) if found and sum(one.numel() for one in found) else None


CONTRACTS = (
    Contract("dataset-changes", "data", 92, changing_dataset),
    Contract("edge-rows", "modes-layers", 78, edge_rows),
)
CHECKS = (Contract("same-loss-twice", "modes-layers", 60, same_loss_twice, "warning", "exact"),)
