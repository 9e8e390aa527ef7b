"""Kinds of faults that the third blind round showed missing, beside right programs that look like them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from assay.doctor import watch
from assay.doctor.examine import CHECKS, looked
from assay.doctor.layout_checks import cuts_across


@pytest.mark.parametrize(
    ("given", "made", "crossed"),
    [
        ((32, 6, 6, 14), (32, 14, 36), True),
        ((8, 12, 12, 3), (8, 3, 12, 12), True),
        ((8, 2, 15, 16), (8, 15, 32), True),
        ((8, 15, 32), (8, 15, 2, 16), False),
        ((8, 3, 6, 6), (8, 108), False),
        ((8, 5, 4), (40, 4), False),
        ((2, 10, 11), (2, 11, 10), False),  # the skew of relative positions
        ((8, 108), (8, 3, 6, 6), False),
    ],
)
def test_views_that_cut_across_axes(given: Sequence[int], made: Sequence[int], crossed: bool) -> None:
    assert cuts_across(given, made) is crossed


def failed(name: str, model: nn.Module, loss: Any, *data: torch.Tensor, **more: Any) -> list[str]:
    optimizer = torch.optim.Adam(model.parameters())
    loader = DataLoader(TensorDataset(*data), 16, shuffle=True)
    report = looked([one for one in CHECKS if one.name == name], model, loss, optimizer, loader, **more)
    assert not [one for one in report.findings if one.result == "not run"]
    return [one.level for one in report.failed]


def test_weights_that_broadcast_against_outputs_of_one_dimension() -> None:
    """Outputs of one dimension, which raised before, and the mean that weights make by right."""
    model = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    x, target = torch.randn(64, 4), torch.rand(64, 2)
    broadcast = failed("loss-pairs", model, lambda o, t: (t[:, 1:] * (o - t[:, 0]) ** 2).mean(), x, target)
    right = failed("loss-pairs", model, lambda o, t: (t[:, 1] * (o - t[:, 0]) ** 2).sum() / t[:, 1].sum(), x, target)
    assert (broadcast, right) == (["error"], [])


def test_zero_heads_are_within_reach() -> None:
    model = nn.Linear(4, 3)
    nn.init.zeros_(model.weight)
    assert not failed("outputs-out-of-reach", model, F.cross_entropy, torch.randn(64, 4), torch.arange(64) % 3)


x = torch.randn(160, 4, generator=torch.Generator().manual_seed(1))
y = (x[:, 0] > 0).long()


def said(train: Any) -> list[str]:
    torch.manual_seed(0)
    with watch() as seen:
        train()
    return [one.check for one in seen.report.failed]


def trained(epochs: int, each: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    batches = DataLoader(TensorDataset(x, y), 16)
    for _ in range(epochs):
        for number, (inputs, labels) in enumerate(batches):
            if each(number, model, optimizer, inputs, labels):
                break


def step(model: Any, optimizer: Any, inputs: Any, labels: Any) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def test_rate_that_vanishes_between_the_windows() -> None:
    def decayed(_number: int, model: Any, optimizer: Any, *batch: Any) -> None:
        optimizer.param_groups[0]["lr"] *= 0.95
        step(model, optimizer, *batch)

    assert "rate-vanishes" in said(lambda: trained(32, decayed))


def test_iterators_left_after_two_batches() -> None:
    def left(number: int, *rest: Any) -> bool:
        step(*rest)
        return number == 1

    assert "iterator-left" in said(lambda: trained(30, left))
    assert "iterator-left" not in said(lambda: trained(7, lambda _number, *rest: step(*rest)))


def two_losses(model: Any, optimizer: Any, inputs: Any, labels: Any, *, cleared: int, climbs: int) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
    if climbs:
        with torch.no_grad():
            model[0].bias.add_(0.01 * torch.randn(8))
            model[3].bias.add_(0.01 * torch.randn(2))
    if cleared:
        optimizer.zero_grad()
    F.mse_loss(model(inputs)[:, 0], inputs[:, 1]).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@pytest.mark.parametrize(
    ("cleared", "climbs", "dropped"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_one_loss_of_two_is_cleared(cleared: int, climbs: int, dropped: int) -> None:
    found = said(lambda: trained(8, lambda _number, *rest: two_losses(*rest, cleared=cleared, climbs=climbs)))
    assert ("gradients-dropped" in found) is bool(dropped)


@pytest.mark.parametrize("copied", [False, True])
def test_average_without_statistics(copied: bool) -> None:
    def train() -> None:
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        average, optimizer = copy.deepcopy(model), torch.optim.SGD(model.parameters(), 0.05)
        for _ in range(12):
            for batch in DataLoader(TensorDataset(x, y), 16):
                step(model, optimizer, *batch)
                with torch.no_grad():
                    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                        slow.lerp_(fast, 0.1)
        if copied:
            for own, statistics in zip(average.buffers(), model.buffers(), strict=True):
                own.copy_(statistics)
        average.eval()

    assert ("averages-lag" in said(train)) is not copied
