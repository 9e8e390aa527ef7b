"""The doctor on healthy programs: no error, nothing changed, each result with its reason."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from assay.doctor import examine, initial_loss_checks, rehearsal_checks, unit_checks
from assay.doctor.check_results import Contract
from assay.doctor.examine import CHECKS, looked
from support.doctor_healthy_third import PROGRAMS

#: programs whose batches have to be explained by forward=
GUESSED = {"target_before_the_index"}
#: reasons of checks that do not run by rule
LEFT = ("the budget of", "a rehearsal of a part of the planned run")
REHEARSED = (*initial_loss_checks.CHECKS, *rehearsal_checks.CHECKS, *unit_checks.CHECKS)
FIRST = list(PROGRAMS)[::10]
#: on which each check stands alone
THREE = ("zero_gamma_residual_net", "warm_up_from_zero", "encoder_with_padding")


def built(name: str) -> dict[str, Any]:
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    return PROGRAMS[name]()


def footprint(given: dict[str, Any]) -> list[Any]:
    """All that must stay: weights, buffers, gradients, modes, hooks, optimizer and generators, as comparable values."""
    model: nn.Module = given["model"]
    found: list[Any] = [random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()]
    for name, one in model.state_dict(keep_vars=True).items():
        found.append((name, id(one), one.detach().numpy().tobytes(), one.requires_grad, one.grad is None))
    for name, module in model.named_modules():
        hooks = [len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks)]
        found.append((name, module.training, hooks))
    loader = given["train_loader"]
    found.append((getattr(loader, "_iterator", None), getattr(loader, "generator", None)))
    optimizer = given["optimizer"]
    for one in optimizer if isinstance(optimizer, list) else [optimizer]:
        found.append((len(one.state), [{**group, "params": len(group["params"])} for group in one.param_groups]))
    return found


def quiet(name: str, checks: Sequence[Contract]) -> None:
    given = built(name)
    before = footprint(given)
    report = looked(checks, **given)
    assert footprint(given) == before
    assert not [str(one) for one in report.failed if one.level in ("error", "warning")]
    unseen = [one for one in report.findings if one.result == "not run" and not one.reason.startswith(LEFT)]
    if name not in GUESSED:  # an exception of the doctor's own would hide here
        assert not [str(one) for one in unseen]
    assert all(one.reason for one in report.findings if one.result in ("not run", "not applicable"))


@pytest.mark.parametrize("name", FIRST)
def test_quiet_and_without_a_trace(name: str) -> None:
    """Contracts, statistics and advice; more programs, and checks that rehearse, in the second command."""
    quiet(name, [one for one in CHECKS if one not in REHEARSED or name in THREE])


@pytest.mark.extra
@pytest.mark.parametrize("name", PROGRAMS)
def test_quiet_and_without_a_trace_where_it_is_rehearsed(name: str) -> None:
    quiet(name, CHECKS)


@pytest.mark.extra
@pytest.mark.parametrize("budget", [25, 0])
def test_a_short_budget_alarms_no_more(budget: int) -> None:
    for name in PROGRAMS:
        report = examine(**{**built(name), "budget": budget})
        assert not [str(one) for one in report.failed if one.level in ("error", "warning")], name


@pytest.mark.extra
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("name", THREE)
def test_each_check_alone_leaves_no_trace(name: str, check: Contract) -> None:
    given = built(name)
    before = footprint(given)
    looked([check], **given)
    assert footprint(given) == before
