"""Rehearsals: counted steps on copies, by the program's own optimizer or the doctor's, and what outputs alone reach."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from assay.doctor import example_draws, initial_loss_checks, rehearsal, rehearsal_checks, unit_checks
from assay.doctor.examine import looked
from assay.doctor.rehearsal import Adam, Momentum
from assay.doctor.subject import NotRunError, Subject
from support.doctor_healthy import mlp, parts, rows


def subject(**others: object) -> Subject:
    torch.manual_seed(2)
    given = {**parts(mlp(), F.cross_entropy, *rows(), rate=0.01), **others}
    given["original"], optimizer = given.pop("model"), given.pop("optimizer")
    drawn = example_draws.draw(given["train_loader"])
    return Subject(optimizers=[optimizer], schedulers=[], val_loader=None, train=drawn, **given)


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (lambda held: Adam(held, 0.1), lambda held: torch.optim.Adam(held, 0.1)),
        (lambda held: Momentum(held, 0.1, 0.9), lambda held: torch.optim.SGD(held, 0.1, momentum=0.9)),
    ],
)
def test_the_doctors_rules_step_as_those_of_torch(own, theirs) -> None:
    torch.manual_seed(1)
    one = mlp()
    other = copy.deepcopy(one)
    rules = own(list(one.parameters())), theirs(other.parameters())
    x, y = rows()
    for _ in range(5):
        for model, rule in zip((one, other), rules, strict=True):
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            rule.step()
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_steps_are_counted_and_a_budget_is_kept() -> None:
    found = subject(budget=50)
    assert len(rehearsal.own_arm(found).losses) == 12
    rehearsal.spend(found, 38)
    with pytest.raises(NotRunError, match="the budget of 50 rehearsal steps has no room for 4 more"):
        rehearsal.spend(found, 4)
    assert rehearsal.own_arm(found).end < rehearsal.own_arm(found).start, "made once, and it learns"


@pytest.mark.extra
def test_without_a_budget_nothing_is_rehearsed_and_each_check_says_so() -> None:
    report = looked([*rehearsal_checks.CHECKS, *unit_checks.CHECKS], **parts(mlp(), F.cross_entropy, *rows(), budget=0))
    unseen = {one.check: one.reason for one in report.findings if one.result == "not run"}
    assert {"few-examples", "inputs-ignored", "steps-not-finite", "dead-units"} <= set(unseen)
    assert all("the budget of 0 rehearsal steps" in reason for reason in unseen.values()) and not report.failed


def test_what_outputs_reach_is_the_prior_and_the_entropy_of_the_labels() -> None:
    found = subject()
    reach = rehearsal.reach(found, found.batch)
    share = torch.bincount(found.batch[1]).double() / len(found.batch[1])
    assert math.isclose(reach.constant, float(-(share * share.log()).nansum()), rel_tol=1e-2) and reach.free < 0.01
    assert math.isclose(reach.gained(reach.free), 1) and reach.gained(reach.constant) == 0


def test_a_planned_run_that_is_short_is_rehearsed_whole() -> None:
    assert rehearsal.own_steps(subject(planned_steps=36)) == 36
    assert rehearsal.own_steps(subject(planned_steps=360)) == rehearsal.STEPS
    assert rehearsal.own_steps(subject(budget=25)) == 6


@pytest.mark.extra
def test_a_model_that_cannot_be_copied_is_rehearsed_by_no_optimizer_of_its_own() -> None:
    class Fixed(nn.Sequential):
        def __deepcopy__(self, memo: object) -> None:
            raise TypeError

    model = Fixed(nn.Linear(8, 3))
    before = model[0].weight.detach().clone()
    report = looked([*initial_loss_checks.CHECKS, *rehearsal_checks.CHECKS], **parts(model, F.cross_entropy, *rows()))
    (own,) = (one for one in report.findings if one.check == "steps-not-finite")
    assert own.result == "not run" and "cannot be copied" in own.reason
    assert torch.equal(model[0].weight, before) and model[0].weight.grad is None
