"""Faulty loops of the first blind round, each beside the loop as it should be.

Every loop trains `program.model` and may return its own held-out score. A line that ends in `# place` is one that a
finding may name first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from doctor_blind_programs_1 import (
    ImageNet,
    PairNet,
    PriceNet,
    Program,
    TableNet,
    accuracy,
    cut,
    images,
    language,
    loaders,
    pairs,
    prices,
    sgd,
    table,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import TensorDataset

Loop = Callable[[Program], float | None]


@dataclass(frozen=True)
class LoopFault:
    """`given` says whether the watch gets the parts, or has to find them."""

    name: str
    program: str
    groups: tuple[str, ...]
    build: Callable[[int], Program]
    healthy: Loop
    faulty: Loop
    given: bool = True

    @property
    def places(self) -> set[str]:
        lines, first = inspect.getsourcelines(self.faulty)
        file = Path(inspect.getfile(self.faulty)).name
        return {f"{file}:{first + k}" for k, line in enumerate(lines) if line.rstrip().endswith("# place")}


def plain(program: Program) -> None:
    for _ in range(program.epochs):
        program.model.train()
        for batch in program.train_loader:
            program.optimizer.zero_grad()
            output, target = program.step(batch)
            loss = program.loss(output, target)
            loss.backward()
            program.optimizer.step()


def never_zeroed(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:  # place
            loss = program.loss(model(x), y)  # place
            loss.backward()  # place
            optimizer.step()  # place


def zeroed_before_the_step(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.zero_grad()  # place
            optimizer.step()  # place


def share_right(model: nn.Module, loader: Any) -> float:
    model.eval()
    with torch.no_grad():
        right = [(model(x).argmax(1) == y).float().mean() for x, y in loader]
    return float(torch.stack(right).mean())


def returns_to_training(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    share_right(model, program.val_loader)
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
        share_right(model, program.val_loader)


def stays_in_evaluation(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    share_right(model, program.val_loader)  # place
    for _ in range(program.epochs):
        for x, y in program.train_loader:  # place
            optimizer.zero_grad()
            loss = program.loss(model(x), y)  # place
            loss.backward()  # place
            optimizer.step()  # place
        share_right(model, program.val_loader)


def scored_in_evaluation(program: Program) -> float:
    returns_to_training(program)
    return share_right(program.model, program.test)


def scored_in_training(program: Program) -> float:
    model, optimizer = program.model, program.optimizer
    model.train()
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            for x, _ in program.val_loader:  # place
                model(x)  # place
    with torch.no_grad():
        right = [(model(x).argmax(1) == y).float().mean() for x, y in program.test]
    return float(torch.stack(right).mean())


def scheduled_by_epoch(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    scheduler = StepLR(optimizer, step_size=4, gamma=0.2)
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
        scheduler.step()


def scheduled_by_batch(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    scheduler = StepLR(optimizer, step_size=4, gamma=0.2)
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()  # place
            scheduler.step()  # place


def accumulated(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    optimizer.zero_grad()
    for _ in range(program.epochs):
        for k, (x, y) in enumerate(program.train_loader):
            loss = program.loss(model(x), y)
            loss.backward()
            if (k + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()


def accumulated_for_nothing(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for k, (x, y) in enumerate(program.train_loader):
            optimizer.zero_grad()  # place
            loss = program.loss(model(x), y)
            loss.backward()  # place
            if (k + 1) % 4 == 0:
                optimizer.step()  # place


def best_kept(program: Program) -> None:
    model, optimizer, best, kept = program.model, program.optimizer, -1.0, None
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
        score = share_right(model, program.val_loader)
        if score > best:
            best, kept = score, {name: value.clone() for name, value in model.state_dict().items()}
    assert kept is not None
    model.load_state_dict(kept)


def best_kept_by_reference(program: Program) -> None:
    model, optimizer, best, kept = program.model, program.optimizer, -1.0, None
    for _ in range(program.epochs):
        model.train()
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()
        score = share_right(model, program.val_loader)
        if score > best:
            best, kept = score, model.state_dict()  # place
    assert kept is not None
    model.load_state_dict(kept)  # place


def fresh_model_each_fold(program: Program) -> None:
    x, y = program.train_loader.dataset.tensors
    for fold in range(2):
        model = TableNet()
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        kept = torch.arange(len(x)) % 5 != fold
        for _ in range(program.epochs):
            for start in torch.randperm(int(kept.sum())).split(32):
                optimizer.zero_grad()
                loss = program.loss(model(x[kept][start]), y[kept][start])
                loss.backward()
                optimizer.step()
    program.model = model


def optimizer_of_the_first_fold(program: Program) -> None:
    x, y = program.train_loader.dataset.tensors
    model = TableNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for fold in range(2):
        model = TableNet()
        kept = torch.arange(len(x)) % 5 != fold
        for _ in range(program.epochs):
            for start in torch.randperm(int(kept.sum())).split(32):
                optimizer.zero_grad()  # place
                loss = program.loss(model(x[kept][start]), y[kept][start])  # place
                loss.backward()  # place
                optimizer.step()  # place
    program.model = model


def every_batch(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    batches = iter(program.train_loader)
    for _ in range(program.planned_steps):
        try:
            x, y = next(batches)
        except StopIteration:
            batches = iter(program.train_loader)
            x, y = next(batches)
        optimizer.zero_grad()
        loss = program.loss(model(x), y)
        loss.backward()
        optimizer.step()


def first_batch_only(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.planned_steps):
        x, y = next(iter(program.train_loader))  # place
        optimizer.zero_grad()
        loss = program.loss(model(x), y)  # place
        loss.backward()  # place
        optimizer.step()  # place


class DistanceNet(PairNet):
    """Same or not, by Euclidean distance between two codes."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps, self.margin = eps, nn.Parameter(torch.tensor(2.0))

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        distance = torch.sqrt((self.encoder(left) - self.encoder(right)).pow(2).sum(1) + self.eps)
        return self.margin - distance


def with_copies(program: Program) -> Program:
    """Some pairs show twice the very same recording."""
    left, right, same = program.train_loader.dataset.tensors
    copies = (same == 1).nonzero().flatten()[::40]
    right[copies] = left[copies]
    return program


def root_with_eps(program: Program) -> None:
    program.model = DistanceNet(eps=1e-8)
    program.optimizer = torch.optim.Adam(program.model.parameters(), lr=3e-3)
    plain(program)


def root_of_nought(program: Program) -> None:
    model = program.model = DistanceNet(eps=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(program.epochs):
        for left, right, same in program.train_loader:
            optimizer.zero_grad()
            output = model(left, right)  # place
            loss = program.loss(output, same)  # place
            loss.backward()  # place
            optimizer.step()  # place


def freeze_features(model: Any, frozen: bool) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not frozen or name.startswith("fc")


def unfrozen_and_added(program: Program) -> None:
    model: Any = program.model
    freeze_features(model, True)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.02, momentum=0.9)
    for epoch in range(program.epochs):
        if epoch == 2:
            freeze_features(model, False)
            optimizer.add_param_group({"params": [p for n, p in model.named_parameters() if not n.startswith("fc")]})
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()


def unfrozen_and_forgotten(program: Program) -> None:
    model: Any = program.model
    freeze_features(model, True)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.02, momentum=0.9)
    for epoch in range(program.epochs):
        if epoch == 2:
            freeze_features(model, False)  # place
        for x, y in program.train_loader:
            optimizer.zero_grad()  # place
            loss = program.loss(model(x), y)
            loss.backward()  # place
            optimizer.step()  # place


def clipped(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()


def clipped_too_late(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)
            loss.backward()
            optimizer.step()  # place
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # place


def step_outside_the_loop(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    for _ in range(program.epochs):
        for x, y in program.train_loader:
            optimizer.zero_grad()
            loss = program.loss(model(x), y)  # place
        loss.backward()  # place
        optimizer.step()  # place


def new_optimizer_each_step(program: Program) -> None:
    model = program.model
    for _ in range(program.epochs):
        for batch in program.train_loader:
            optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)  # place
            output, target = program.step(batch)
            loss = program.loss(output, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()  # place


class DroppedNet(TableNet):
    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.relu(self.hidden(x)), 0.5, self.training)
        return self.head(F.dropout(F.relu(self.second(x)), 0.5, self.training))


class WideNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(40, 128), nn.Linear(128, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.hidden(x)))


def bytes_as_floats(seed: int) -> Program:
    """Images of 0 to 255, which only BatchNorm brings to a scale."""
    return images(seed, transform=Tensor.float)


def wrong_labels(seed: int) -> Program:
    """400 rows with a third of the labels wrong: best after a few epochs, and learnt by heart after many."""
    generator = torch.Generator().manual_seed(seed + 50)
    x = torch.randn(3400, 40, generator=generator)
    y = (x[:, :3].sum(1) > 0).long()
    wrong = torch.rand(400, generator=generator) < 0.33
    y[:400] = torch.where(wrong, 1 - y[:400], y[:400])
    train, val, test = loaders([TensorDataset(*part) for part in cut(x, y, train=400, val=1000)])
    model = WideNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return Program(model, nn.CrossEntropyLoss(), optimizer, train, val, test, 15, accuracy, task="classification")


def spiky(seed: int) -> Program:
    program = prices(seed, PriceNet, optimizer=sgd(0.05), epochs=15)
    targets = program.train_loader.dataset.tensors[1]
    targets[::50] *= 30
    program.loss = nn.MSELoss()
    return program


FAULTS = (
    LoopFault("zero_grad_missing", "mlp", ("in-flight", "optimisation"), table, plain, never_zeroed),
    LoopFault("zero_grad_before_step", "cnn", ("in-flight", "optimisation"), images, plain, zeroed_before_the_step),
    LoopFault(
        "eval_never_left",
        "cnn",
        ("modes-layers",),
        bytes_as_floats,
        returns_to_training,
        stays_in_evaluation,
    ),
    LoopFault(
        "scored_in_training_mode",
        "mlp",
        ("modes-layers",),
        lambda seed: table(seed, DroppedNet),
        scored_in_evaluation,
        scored_in_training,
    ),
    LoopFault("schedule_by_batch", "cnn", ("optimisation",), images, scheduled_by_epoch, scheduled_by_batch),
    LoopFault(
        "accumulation_zeroed",
        "cnn",
        ("in-flight", "optimisation"),
        lambda seed: images(seed, batch_size=8, optimizer=sgd(5e-3)),
        accumulated,
        accumulated_for_nothing,
    ),
    LoopFault("best_by_reference", "mlp", ("in-flight",), wrong_labels, best_kept, best_kept_by_reference),
    LoopFault(
        "optimizer_of_first_fold",
        "mlp",
        ("in-flight", "optimisation"),
        table,
        fresh_model_each_fold,
        optimizer_of_the_first_fold,
        given=False,
    ),
    LoopFault(
        "first_batch_only",
        "mlp",
        ("in-flight", "data"),
        lambda seed: table(seed, shuffle=False),
        every_batch,
        first_batch_only,
    ),
    LoopFault(
        "root_of_nought",
        "two inputs",
        ("in-flight", "loss-contract"),
        lambda seed: with_copies(pairs(seed)),
        root_with_eps,
        root_of_nought,
        given=False,
    ),
    LoopFault(
        "unfrozen_and_forgotten",
        "cnn",
        ("in-flight", "optimisation"),
        lambda seed: images(seed, ImageNet),
        unfrozen_and_added,
        unfrozen_and_forgotten,
        given=False,
    ),
    LoopFault("clipped_too_late", "mlp regression", ("in-flight", "optimisation"), spiky, clipped, clipped_too_late),
    LoopFault("step_outside_the_loop", "mlp", ("in-flight", "optimisation"), table, plain, step_outside_the_loop),
    LoopFault(
        "new_optimizer_each_step",
        "causal transformer",
        ("in-flight", "optimisation"),
        language,
        plain,
        new_optimizer_each_step,
        given=False,
    ),
)
LOOPS = {fault.name: fault for fault in FAULTS}
