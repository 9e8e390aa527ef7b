"""What must be the same twice: an example read again, a loss at equal seeds; and rows at the edge of the data."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from assay.doctor import tensor_tree
from assay.doctor.example_draws import COPIED_BYTES, bytes_of, input_and_target
from assay.doctor.operation_trace import placed
from assay.doctor.problem import Contract, Problem
from assay.doctor.subject import NotApplicableError, NotRunError, Subject
from assay.doctor.untouched import seed_all

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
        held = tensor_tree.mapped(Tensor.clone, _read(dataset, index))
        pairs = zip(input_and_target(held), input_and_target(_read(dataset, index)), strict=True)
        if not all(tensor_tree.same(*pair) for pair in pairs) and not _random(loader.dataset, index):
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


def _random(dataset: Any, index: int) -> bool:
    """Whether fresh copies give different examples at equal seeds, too: a generator of the dataset's own."""
    one, two = (_read(copy.deepcopy(dataset), index) for _ in range(2))
    return not tensor_tree.same(one, two) or any(
        isinstance(one, torch.Generator) for one in getattr(dataset, "__dict__", {}).values()
    )


def _read(dataset: Any, index: int) -> Any:
    seed_all(index)
    return dataset[index]


def same_loss_twice(subject: Subject) -> list[Problem]:
    """One seed gives one loss: else the first module whose output differs."""
    subject.model.train()
    one, two = (float(subject.value(subject.batch).detach()) for _ in range(2))
    if one == two or not math.isfinite(one):
        return []
    place = _first_that_differs(subject)
    return [
        Problem(
            places=[place, "model"] if place != "model" else ["model"],
            reason="one seed twice gives two losses: something draws from a generator of its own, or keeps state",
            measured=f"{one:.6g} and {two:.6g} for the same batch, weights and seeds",
            threshold="equal",
            next_step="draw from torch's own generator, or seed the one that is kept",
        )
    ]


def _first_that_differs(subject: Subject) -> str:
    runs: list[list[tuple[str, Any]]] = []
    for _ in range(2):
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
