"""What the doctor is given and cannot look at: a result for each check, with a reason, and no exception."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from assay.doctor import Report, examine
from assay.doctor.examine import CHECKS


def data(count: int = 32) -> TensorDataset:
    return TensorDataset(torch.randn(count, 8), torch.arange(count) % 3)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def look(model: nn.Module, loader: Any, loss: Any = F.cross_entropy, **others: Any) -> Report:
    parameters = [*model.parameters()] or [torch.zeros(1, requires_grad=True)]
    return examine(model, loss, torch.optim.SGD(parameters, 0.1), loader, **others)


def complete(report: Report) -> bool:
    seen = {one.check for one in report.findings}
    return seen == {one.name for one in CHECKS} and all(one.reason for one in report.findings if one.result != "pass")


class NoCopy(nn.Sequential):
    def __deepcopy__(self, memo: Any) -> NoCopy:
        raise TypeError("cannot be copied")


def boom(_output: Any, _target: Any) -> torch.Tensor:
    raise ValueError("boom")


def number(output: torch.Tensor, target: torch.Tensor) -> float:
    return F.cross_entropy(output, target).item()


def batches() -> Iterator[Any]:
    yield from DataLoader(data(), batch_size=8)


@pytest.mark.parametrize(
    "arguments",
    [
        (nn.ReLU(), DataLoader(data(), 8)),
        (net(), []),
        (net(), batches()),
        (net(), DataLoader(data(), 8), boom),
        (net(), DataLoader(data(), 8), number),
        (net(), DataLoader(TensorDataset(torch.zeros(9, 5), torch.zeros(9)), 4)),
        (net(), DataLoader(data(), batch_size=None)),
        (net(), [object()]),
        (net(), [{"x": torch.zeros(4, 8), "labels": torch.zeros(4).long()}]),
        (nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(3)), DataLoader(data(), 8)),
        (net(), DataLoader(data(1), 8)),
    ],
)
def test_a_result_for_each_check(arguments: Any) -> None:
    assert complete(look(*arguments))


def test_what_raises_is_said_with_its_line() -> None:
    found = look(net(), DataLoader(data(), 8), boom).errors
    assert [one.check for one in found] == ["loss-runs"]
    assert "ValueError: boom" in found[0].reason


def test_an_iterator_keeps_its_batches() -> None:
    left = batches()
    look(net(), left)
    assert len(list(left)) == 4


def test_a_model_that_cannot_be_copied_is_looked_at_and_put_back() -> None:
    model = NoCopy(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(1)).eval()
    model[0].weight.grad = torch.ones(16, 8)
    nn.init.zeros_(model[3].weight)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    report = look(model, DataLoader(data(), 8))
    assert "loss-wants-logits" in {one.check for one in report.errors}
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert not any(one.training or one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    assert torch.equal(model[0].weight.grad, torch.ones(16, 8)) and model[0].bias.grad is None


@pytest.mark.extra
def test_a_forward_that_uses_another_model_leaves_it_alone() -> None:
    """Statistics of a model that `forward` closes over, instead of taking the one that it is given."""
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    before = {name: one.clone() for name, one in model.state_dict().items()}
    look(model, DataLoader(data(), 8), forward=lambda _, batch: (model(batch[0]), batch[1]))
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


@pytest.mark.extra
def test_a_sampler_with_a_generator_is_not_drawn_from() -> None:
    generator = torch.Generator().manual_seed(4)
    loader = DataLoader(data(), 8, shuffle=True, generator=generator)
    before = generator.get_state()
    look(net(), loader)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.extra
def test_a_dataset_that_notes_what_is_read_notes_nothing() -> None:
    class Noting(TensorDataset):
        read: list[int]

        def __getitem__(self, index: int) -> Any:
            self.read.append(index)
            return super().__getitem__(index)

    dataset = Noting(*data().tensors)
    dataset.read = []
    look(net(), DataLoader(dataset, 8))
    assert dataset.read == []


def test_arguments_of_the_wrong_kind() -> None:
    with pytest.raises(TypeError, match=r"allowed: a torch\.nn\.Module"):
        examine(lambda x: x, F.cross_entropy, None, [])  # type: ignore[arg-type]


def test_order_and_json() -> None:
    report = look(nn.Sequential(net(), nn.Softmax(1)), DataLoader(data(), 8))
    results = [one.result for one in report.findings]
    assert results == sorted(results, key=("fail", "not run", "not applicable", "pass").index)
    assert '"schema": 1' in report.json() and "loss-wants-logits" in str(report)
