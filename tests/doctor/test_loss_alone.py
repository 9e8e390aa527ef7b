"""What the loss, the metric and written gradients are proved wrong by, and what of them is left as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assay.doctor.examine import CHECKS, looked
from assay.doctor.findings import Finding
from support.doctor_healthy import mlp, parts, rows


def findings(check: str, **given: Any) -> list[Finding]:
    return looked([one for one in CHECKS if one.name == check], **given).findings


def classes(loss: Any, **others: Any) -> dict[str, Any]:
    torch.manual_seed(6)
    return parts(mlp(), loss, *rows(), **others)


def values(loss: Any, **others: Any) -> dict[str, Any]:
    torch.manual_seed(6)
    x = torch.randn(64, 8)
    return parts(mlp(outputs=1), loss, x, x.sum(1, keepdim=True), **others)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (classes(lambda o, t: F.cross_entropy(o, t.flip(0))), "moves other outputs than its own"),
        (values(lambda o, t: (o.mean() - t.mean()) ** 2), "moves all outputs alike"),
        (values(lambda o, t: (o - t.T).square().mean()), "moves all outputs alike"),
    ],
)
def test_targets_that_belong_to_other_outputs(given: dict[str, Any], reason: str) -> None:
    (found,) = findings("loss-pairs", **given)
    assert found.result == "fail" and reason in found.reason and found.level == "error"


def test_a_time_first_output_that_is_flattened_beside_example_first_targets() -> None:
    class Tags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.embed(x.T))

    torch.manual_seed(6)
    x = torch.randint(0, 11, (64, 7))
    loss = lambda o, t: F.cross_entropy(o.flatten(0, 1), t.flatten())  # noqa: E731
    (found,) = findings("loss-pairs", **parts(Tags(), loss, x, x % 4))
    assert found.result == "fail"
    right = lambda o, t: F.cross_entropy(o.transpose(0, 1).flatten(0, 1), t.flatten())  # noqa: E731
    assert [one.result for one in findings("loss-pairs", **parts(Tags(), right, x, x % 4))] == ["pass"]


@pytest.mark.parametrize(
    ("loss", "result"),
    [
        (F.cross_entropy, "pass"),
        (nn.CrossEntropyLoss(label_smoothing=0.3), "pass"),
        (lambda o, t: (F.cross_entropy(o, t) - 0.3).abs() + 0.3, "pass"),
        (lambda o, t: F.cross_entropy(o.softmax(1), t), "fail"),
        (lambda o, t: o.log_softmax(1).gather(1, t[:, None]).mean(), "fail"),
        (lambda o, t: F.cross_entropy(-o, t), "pass"),
    ],
)
def test_the_floor_of_a_loss(loss: Any, result: str) -> None:
    assert [one.result for one in findings("loss-floor", **classes(loss))] == [result]


@pytest.mark.parametrize(
    ("metric", "perfect", "pairs"),
    [
        (lambda o, t: 100 * (o.argmax(1) == t).float().mean(), "pass", "pass"),
        (lambda o, t: -F.cross_entropy(o, t), "pass", "pass"),
        (lambda o, t: (o.argmax(1) == t[:, None]).float().mean(), "pass", "fail"),
        (lambda o, _: o.amax(), "pass", "not applicable"),
    ],
)
def test_metrics_of_classes(metric: Any, perfect: str, pairs: str) -> None:
    given = classes(F.cross_entropy, metric=metric)
    assert [findings(name, **given)[0].result for name in ("metric-perfect", "metric-pairs")] == [perfect, pairs]


def test_a_signed_error_is_not_best_for_perfect_predictions() -> None:
    (found,) = findings("metric-perfect", **values(F.mse_loss, metric=lambda o, t: (o - t).mean()))
    assert found.result == "fail" and found.measured.startswith("0 for perfect predictions")


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return Cube.factor * gradient * ctx.saved_tensors[0] ** 2

    factor = 3.0


class Cubed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Cube.apply(x)


def test_a_written_gradient_and_its_function_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(6)
    given = parts(nn.Sequential(nn.Linear(8, 16), Cubed(), nn.Linear(16, 3)), F.cross_entropy, *rows())
    assert [one.result for one in findings("custom-gradients", **given)] == ["pass"]
    monkeypatch.setattr(Cube, "factor", 2.0)
    (found,) = findings("custom-gradients", **given)
    assert found.result == "fail" and found.places == ["1 (Cubed)", "Cube"]
    assert "apply" not in vars(Cube) and Tensor.__hash__(given["model"][0].weight) == id(given["model"][0].weight)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda o, t: F.cross_entropy(o, t) + o.detach().square().mean(), "term 2 of 2 of the loss has no gradient"),
        (lambda o, t: F.cross_entropy(o, t) + 1e6 * (o.sum(1) - 3).square().mean(), "term 2 of 2 of the loss drowns"),
    ],
)
def test_terms_of_a_loss(loss: Any, said: str) -> None:
    (found,) = findings("loss-terms", **classes(loss))
    assert found.result == "fail" and said in found.reason


def test_an_order_that_is_ignored_is_a_warning_where_a_whole_run_learned_nothing() -> None:
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.embed(x).mean(1))

    torch.manual_seed(6)
    x = torch.randint(0, 11, (128, 6))
    given = parts(Bag(), F.cross_entropy, x, (x[:, 0] < x[:, 1]).long(), rate=1e-5)
    assert findings("order-ignored", **given)[0].level == "advice"
    assert findings("order-ignored", **given, planned_steps=36)[0].level == "warning"
