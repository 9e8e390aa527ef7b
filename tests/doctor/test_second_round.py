"""Checks that look further since the second blind round: scaled sentinels, places unused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from assay.doctor import Report
from assay.doctor.examine import CHECKS, looked


def said(name: str, model: nn.Module, x: Tensor, y: Tensor, *validation: Tensor) -> list[tuple[str, list[str]]]:
    """Level and places of what one check fails with."""
    loaders = [DataLoader(TensorDataset(*data), batch_size=16, shuffle=True) for data in ((x, y), validation) if data]
    optimizer = torch.optim.Adam(model.parameters())
    report: Report = looked([one for one in CHECKS if one.name == name], model, F.cross_entropy, optimizer, *loaders)
    return [(one.level, one.places) for one in report.failed]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(4)


def test_a_sentinel_is_seen_after_it_was_scaled() -> None:
    x = torch.randn(200, 4)
    missing = x.clone()
    missing[::10, 2] = -999.0
    y = (x[:, 0] > 0).long()
    scaled = (missing - missing.mean(0)) / missing.std(0)
    assert said("sentinels", nn.Linear(4, 2), scaled, y) == [("warning", ["train_loader inputs"])]
    assert said("sentinels", nn.Linear(4, 2), x.relu(), y) == []  # many zeros at the end of a column


class Bag(nn.Module):
    def __init__(self, unused: nn.Module | None = None) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 2)
        self.unused = unused

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x).mean(1))


def test_places_that_are_never_used_make_the_order_a_warning() -> None:
    words = torch.randint(0, 11, (96, 6))
    y = (words[:, 0] < words[:, 1]).long()
    assert said("order-ignored", Bag(nn.Embedding(6, 8)), words, y) == [("warning", ["model"])]
    for other in (None, nn.Embedding(5, 8), nn.Linear(8, 16)):  # nothing, too short for places, a second head
        assert said("order-ignored", Bag(other), words, y) == [("advice", ["model"])]


def test_a_shared_layer_in_a_loop_is_right() -> None:
    shared = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    assert (
        said("layer-repeated", nn.Sequential(shared, nn.Linear(4, 2)), torch.randn(40, 4), torch.arange(40) % 2) == []
    )
