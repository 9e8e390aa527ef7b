"""The watch on healthy loops: no error, no warning, the same weights and random numbers, nothing left behind."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import optimizer  # the module

from assay.doctor import watch
from support.watch_healthy import LOOPS


def footprint(modules: Any) -> list[Any]:
    """Weights, buffers, gradients, modes and hooks of what was trained, and all generators."""
    found: list[Any] = [random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()]
    for model in modules if isinstance(modules, list) else [modules]:
        for name, one in model.state_dict(keep_vars=True).items():
            gradient = None if one.grad is None else one.grad.numpy().tobytes()
            found.append((name, one.detach().numpy().tobytes(), gradient))
        for name, module in model.named_modules():
            found.append((name, module.training, len(module._forward_hooks), len(module._forward_pre_hooks)))
    return found


def seeded(train: Any) -> Any:
    random.seed(4)
    np.random.seed(4)
    torch.manual_seed(4)
    return train()


#: one of each kind for the default suite
FEW = (
    "scaled_and_clipped", "gan", "lbfgs", "early_stopping", "mixup", "checkpointed", "policy_gradient",
    "bad_gradients_skipped",
)  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.extra] * (one not in FEW)) for one in LOOPS])
def test_quiet_and_neutral(name: str) -> None:
    plain = footprint(seeded(LOOPS[name]))
    with watch() as seen:
        trained = seeded(LOOPS[name])
    assert footprint(trained) == plain
    assert not [str(one) for one in seen.report.failed]
    broken = [str(one) for one in seen.report.findings if one.result == "not run" and "Error" in one.reason]
    assert not broken  # an exception of the watch's own would hide here
    assert all(one.reason for one in seen.report.findings if one.result != "pass")


def test_nothing_is_left_behind() -> None:
    taps = (torch.autograd, "backward"), (nn.Module, "train"), (torch.optim.Optimizer, "zero_grad")
    before = [vars(owner)[name] for owner, name in taps]
    with pytest.raises(ZeroDivisionError), watch():
        _ = 1 / 0
    assert [vars(owner)[name] for owner, name in taps] == before
    assert not optimizer._global_optimizer_pre_hooks and not optimizer._global_optimizer_post_hooks
