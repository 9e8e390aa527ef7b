"""Update rules against torch.optim, clipping against torch. Schedules: test_recipe.py."""

from __future__ import annotations

import pytest
import torch

from assay.core.params_yaml import Train
from assay.training import optimizers as rules

CASES = {
    "sgd": ({"optimizer": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.01, foreach=False)),
    "momentum": (
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1},
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=0.1, foreach=False),
    ),
    "adam": ({"optimizer": "adam"}, lambda p: torch.optim.Adam(p, lr=0.01, foreach=False)),
    "adam-l2": (
        {"optimizer": "adam", "weight_decay": 0.1},
        lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1, foreach=False),
    ),
    "adamw": (
        {"optimizer": "adamw", "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, foreach=False),
    ),
    "betas": (
        {"optimizer": "adamw", "beta1": 0.8, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1, foreach=False),
    ),
    "nesterov": (
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, foreach=False),
    ),
    "rmsprop": (
        {"optimizer": "rmsprop", "weight_decay": 0.1},
        lambda p: torch.optim.RMSprop(p, lr=0.01, weight_decay=0.1, foreach=False),
    ),
    "rmsprop-momentum": (
        {"optimizer": "rmsprop", "momentum": 0.5, "alpha": 0.9, "eps": 1e-6},
        lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, alpha=0.9, eps=1e-6, foreach=False),
    ),
    "adagrad": (
        {"optimizer": "adagrad", "weight_decay": 0.1},
        lambda p: torch.optim.Adagrad(p, lr=0.01, weight_decay=0.1, foreach=False),
    ),
    "adagrad-eps": (
        {"optimizer": "adagrad", "eps": 1e-2},
        lambda p: torch.optim.Adagrad(p, lr=0.01, eps=1e-2, foreach=False),
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_each_lane_follows_torch_optim_bitwise(name: str, dtype: torch.dtype) -> None:
    settings, reference = CASES[name]
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(3, 32, dtype=dtype, generator=generator)
    twins = [torch.nn.Parameter(row.clone()) for row in theta]
    rule = rules.rule(Train(**settings))
    slots = rule.start(theta)
    optimizers = [reference([twin]) for twin in twins]
    for step in range(1, 51):
        grad = torch.randn(3, 32, dtype=dtype, generator=generator)
        rule.update(theta, grad.clone(), slots, 0.01, step)
        for twin, row, optimizer in zip(twins, grad, optimizers, strict=True):
            twin.grad = row.clone()
            optimizer.step()
    for twin, row in zip(twins, theta, strict=True):
        assert torch.equal(twin.detach(), row)


def test_clip_scales_each_lane_by_its_own_norm() -> None:
    grad = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.01], [1.0], [100.0]])
    expected = []
    for row in grad:
        twin = torch.nn.Parameter(torch.zeros(40))
        twin.grad = row.clone()
        torch.nn.utils.clip_grad_norm_([twin], 2.0)
        expected.append(twin.grad)
    rules.clip(grad, 2.0)
    assert torch.allclose(grad, torch.stack(expected))
    assert torch.equal(grad[0], expected[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_norm_for_each_lane_clips_as_one_for_all(dtype: torch.dtype) -> None:
    """Bit for bit; an infinite one leaves its lane alone, whatever is in it."""
    generator = torch.Generator().manual_seed(0)
    grad = torch.randn(4, 400, dtype=dtype, generator=generator) * torch.tensor([[3.0], [1.0], [1.0], [1.0]])
    grad[2, 5], grad[3, 5] = float("inf"), -0.0
    apart = grad.clone()
    rules.clip(apart, torch.tensor([[0.3], [2.7], [float("inf")], [float("inf")]], dtype=dtype))
    for lane, largest in ((0, 0.3), (1, 2.7)):
        alike = grad.clone()
        rules.clip(alike, largest)
        assert torch.equal(apart[lane], alike[lane]) and not torch.equal(alike[lane], grad[lane])
    assert torch.equal(apart[2:], grad[2:]) and apart[3, 5].signbit()


def test_clip_leaves_the_finite_part_of_a_broken_gradient_finite() -> None:
    grad = torch.tensor([[1.0, float("inf"), 2.0], [1.0, float("nan"), 2.0]])
    rules.clip(grad, 1.0)
    assert grad.isfinite().tolist() == [[True, False, True], [True, False, True]]
