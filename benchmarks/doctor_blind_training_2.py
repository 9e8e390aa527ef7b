"""Static faults of the second blind round, in optimizers, schedules and data: each beside its healthy twin.

Written as those in doctor_blind_models_2.py were, before the doctor saw any.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from doctor_blind_programs_1 import (
    Program,
    TableNet,
    adam,
    images,
    language,
    prices,
    sgd,
    standardized,
    table,
    tags,
    texts,
    waves,
)
from doctor_blind_static_1 import Static, static
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SubsetRandomSampler

TRAINING: dict[str, Static] = {}
fault = partial(static, into=TRAINING)


# The optimizer and its schedule.


@fault("cnn", "optimisation", "model|*weight|optimizer*")
def optimizer_of_a_copy(seed: int, faulty: bool) -> Program:
    def build(model: nn.Module) -> torch.optim.Optimizer:
        held = copy.deepcopy(model) if faulty else model
        return torch.optim.SGD(held.parameters(), lr=0.02, momentum=0.9)

    return images(seed, optimizer=build)


@fault("encoder with padding", "optimisation", "model|*weight|encoder*|embed*")
def group_with_decay_forgotten(seed: int, faulty: bool) -> Program:
    """Two groups, with decay and without: only the second is handed over."""

    def build(model: nn.Module) -> torch.optim.Optimizer:
        named = list(model.named_parameters())
        plain = [p for name, p in named if "bias" in name or "norm" in name]
        decayed = [p for name, p in named if not ("bias" in name or "norm" in name)]
        groups: list[Any] = [{"params": plain, "weight_decay": 0.0}]
        if not faulty:
            groups.append({"params": decayed, "weight_decay": 0.01})
        return torch.optim.AdamW(groups, lr=3e-3)

    return texts(seed, optimizer=build)


@fault("dict batches", "optimisation", "optimizer eps|optimizer lr")
def eps_of_another_recipe(seed: int, faulty: bool) -> Program:
    return tags(seed, optimizer=adam(3e-3, eps=1.0 if faulty else 1e-8))


@fault("cnn", "optimisation", "optimizer lr")
def rate_times_devices(seed: int, faulty: bool) -> Program:
    return images(seed, optimizer=sgd(0.02 * (64 if faulty else 1)))


@fault("cnn", "optimisation", "scheduler|optimizer lr")
def factor_given_as_rate(seed: int, faulty: bool) -> Program:
    """The lambda of LambdaLR is a factor on the rate, and the rate is what was given."""
    start = 0.02 if faulty else 1.0
    return images(
        seed,
        scheduler=lambda optimizer: LambdaLR(optimizer, lambda step: start * 0.5 ** (step // 60)),
        scheduler_unit="step",
    )


@fault("cnn", "optimisation", "optimizer*|model")
def clipped_to_nothing(seed: int, faulty: bool) -> Program:
    program = images(seed)
    program.clip = 1e-3 if faulty else 5.0
    return program


class HandRolled(nn.Module):
    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.cut, self.cell, self.head = cut, nn.GRUCell(2, 24), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 24)
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state.detach() if self.cut else state)
        return self.head(state)


@fault("recurrent", "optimisation|modes-layers", "model|cell*")
def state_detached_each_step(seed: int, faulty: bool) -> Program:
    return waves(seed, lambda: HandRolled(faulty))


# Data and their loaders.


class PlainImages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 9, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        return self.fc(F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1))


def usual(x: Tensor) -> Tensor:
    return (x.float() / 255 - 0.3) / 0.25


@fault("cnn", "data|optimisation", "train_loader inputs")
def divided_by_255_twice(seed: int, faulty: bool) -> Program:
    return images(seed, PlainImages, transform=(lambda x: x.float() / 255 / 255) if faulty else usual)


@fault("cnn", "data", "train_loader inputs")
def scaled_and_cut_to_bytes(seed: int, faulty: bool) -> Program:
    return images(seed, transform=(lambda x: (x.float() / 255).to(torch.uint8).float()) if faulty else usual)


@fault("cnn", "data", "val_loader inputs")
def validation_transposed(seed: int, faulty: bool) -> Program:
    """One reader gives (height, width), the other (width, height)."""
    return images(seed, val_transform=(lambda x: usual(x).transpose(-1, -2)) if faulty else usual, transform=usual)


@fault("cnn", "data", "train_loader inputs|train_loader dataset|train_loader labels")
def rotation_changes_the_label(seed: int, faulty: bool) -> Program:
    def turned(x: Tensor) -> Tensor:
        turns = int(torch.randint(0, 4, ()))
        return usual(x).rot90(turns if faulty else 2 * (turns // 2), (-2, -1))

    return images(seed, transform=turned, val_transform=usual)


@fault("cnn", "data", "train_loader labels")
def class_lost_in_training(seed: int, faulty: bool) -> Program:
    program = images(seed)
    if faulty:
        data = program.train_loader.dataset
        kept = data.y != 2
        data.x, data.y = data.x[kept], data.y[kept]
    return program


@fault("cnn", "data|optimisation", "train_loader batch_size")
def whole_set_in_one_batch(seed: int, faulty: bool) -> Program:
    return images(seed, batch_size=400 if faulty else 32)


class WiderTable(TableNet):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(7, 48)


@fault("mlp", "data", "train_loader inputs")
def answer_among_the_inputs(seed: int, faulty: bool) -> Program:
    """A column that is filled in afterwards, and empty when the model is used."""
    program = table(seed, WiderTable)
    chance = torch.Generator().manual_seed(seed)
    for part in (program.train_loader, program.val_loader, program.test):
        x, y = part.dataset.tensors
        column = 0.05 * torch.randn(len(x), 1, generator=chance)
        if faulty and part is not program.test:
            column = column + (y.float().unsqueeze(1) - 1)
        part.dataset.tensors = torch.cat([x, column], 1), y
    return program


@fault("mlp regression", "data", "val_loader targets|train_loader targets")
def validation_targets_not_scaled(seed: int, faulty: bool) -> Program:
    program = prices(seed, scaled=False)
    mean, std = (f(program.train_loader.dataset.tensors[1]) for f in (torch.mean, torch.std))
    for part in (program.train_loader, program.val_loader, program.test):
        x, y = part.dataset.tensors
        if part is program.train_loader or not faulty:
            part.dataset.tensors = x, (y - mean) / std
    return program


@fault("mlp", "data", "train_loader labels")
def labels_changed_to_one_class(seed: int, faulty: bool) -> Program:
    """Two of three rows of class 1 are labelled 2, as DeepCrime changes labels."""

    def changed(y: Tensor) -> Tensor:
        some = torch.rand(len(y), generator=torch.Generator().manual_seed(seed)) < 2 / 3
        return torch.where((y == 1) & some, 2, y)

    return table(seed, relabel=changed if faulty else lambda y: y)


@fault("mlp", "data", "train_loader labels|train_loader targets|train_loader inputs")
def labels_off_by_one_row(seed: int, faulty: bool) -> Program:
    """The table of labels had no header line: every part has its neighbour's labels."""
    program = table(seed)
    for part in (program.train_loader, program.val_loader, program.test):
        x, y = part.dataset.tensors
        part.dataset.tensors = x, y.roll(1) if faulty else y
    return program


@fault("mlp", "data", "train_loader inputs")
def sentinel_standardized(seed: int, faulty: bool) -> Program:
    """Missing values are -999 when means and deviations are counted; the twin has the column's mean there."""

    def prepared(x: Tensor) -> Tensor:
        missing = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < 0.1
        missing[:, [3]] = False
        filled = torch.where(missing, torch.tensor(-999.0) if faulty else x[:600].mean(0), x)
        return standardized(filled, 600)

    return table(seed, prepared=prepared)


@fault("mlp", "data", "train_loader sampler|train_loader dataset")
def indices_counted_in_batches(seed: int, faulty: bool) -> Program:
    """`range(len(loader))` where `range(len(dataset))` was meant."""
    return table(seed, sampler=SubsetRandomSampler(range(19 if faulty else 600)), shuffle=False)


@fault("dict batches", "data", "train_loader labels|train_loader targets")
def first_tag_only(seed: int, faulty: bool) -> Program:
    """Several labels to a row are stored as one."""
    program = tags(seed)
    for part in (program.train_loader, program.val_loader):
        labels = part.dataset.tags
        alone = F.one_hot(labels.argmax(1), labels.shape[1]).float() * labels
        part.dataset.tags = alone if faulty else labels
    return program


def next_token_once(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    (tokens,) = batch
    return model(tokens[:, :-1]), tokens[:, 1:]


def next_token_twice(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    (tokens,) = batch
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    return model(inputs)[:, :-1], labels[:, 1:]


@fault("causal transformer", "data|loss-contract", "forward|loss|train_loader targets|train_loader labels")
def targets_shifted_twice(seed: int, faulty: bool) -> Program:
    return language(seed, forward=next_token_twice if faulty else next_token_once)
