"""The account of an idea: what makes two looks one, what each costs, and what never adds up to more than alpha."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from assay.metrics.candidate_verdict import Judgement
from assay.stages import verdict_lines
from assay.stats import alpha_budget
from assay.stats.alpha_budget import LookEntry, LookKey, take
from assay.stats.arm_comparison import compare
from assay.stats.sequential_levels_table import LEVELS


def asked(n=10, seed=1, **changed) -> LookEntry:
    known = {field.name for field in msgspec.structs.fields(LookKey)}
    key = {"candidate": seed, "against": 1000 + seed, "n": n, "test": "welch", "alpha": 0.05, "metric": "accuracy"}
    key |= {name: value for name, value in changed.items() if name in known}
    about = {"identity": "idea", "baseline": "b", "environment": "torch 2", "place": 20_000}
    about |= {name: value for name, value in changed.items() if name not in known}
    return LookEntry(key=LookKey(**key), level=0.0, spends=0.0, **about)


def levels(*looks: LookEntry) -> list[float]:
    """The level of each look, taken one after the other."""
    ledger: list[LookEntry] = []
    for one in looks:
        ledger.append(take(ledger, one)[0])
    return [pytest.approx(one.level, rel=1e-6) for one in ledger]


def test_the_anytime_test_pays_once_for_all_looks_at_one_draw():
    grown = [asked(n=n, test="anytime") for n in (2, 3, 4, 10, 40)]
    assert levels(*grown) == [0.05] * 5
    assert levels(*grown[:2], asked(n=10, seed=2, test="anytime"))[-1] == 0.0  # another draw: nothing is left
    assert levels(asked(), *grown)[1:] == [0.009] * 5


def test_a_redraw_is_another_look_and_all_of_them_spend_one_alpha():
    assert levels(*(asked(seed=seed) for seed in (1, 2, 3))) == [0.04, 0.009, 0.0009]
    assert sum(one.expected for one in levels(*(asked(seed=seed) for seed in range(40)))) <= 0.05


@pytest.mark.parametrize(
    "other",
    [{"n": 4}, {"n": 20}, {"test": "student"}, {"alpha": 0.04}, {"metric": "loss"}, {"plan": (10,)}, {"against": 7}],
)
def test_any_other_set_test_alpha_plan_or_metric_is_another_look(other):
    first, second = levels(asked(), asked(**other))
    assert first == 0.04 and second.expected < 0.025
    assert levels(asked(), asked(identity="other"), asked(baseline="c")) == [0.04, 0.04, 0.04]


def test_the_same_sets_keep_their_level_in_another_environment_and_whenever_they_are_read():
    same = asked(environment="torch 3")
    assert levels(asked(), asked(seed=2), same, asked(seed=2), asked()) == [0.04, 0.009, 0.04, 0.009, 0.04]
    assert take([take([], asked())[0]], same)[1].known


def test_prefixes_of_one_draw_at_the_declared_n_are_looks_of_one_plan():
    plan = (5, 10, 20)
    assert levels(*(asked(n, plan=plan) for n in plan)) == list(LEVELS[plan])
    held = take([take([], asked(5, plan=plan))[0]], asked(7, plan=plan))[1]
    assert held.hold == "n=7 is not among the declared looks 5, 10, 20" and held.spends == 0


def test_a_plan_that_grows_is_another_plan_and_paid_from_what_is_left():
    ledger = []
    for plan in [(5,), (5, 10), (5, 10, 20)]:
        entry, price = take(ledger, asked(plan[-1], plan=plan))
        ledger.append(entry)
    assert ledger[0].level == 0.05 and price.hold.endswith("have spent all of alpha=0.05")
    assert alpha_budget.spent(ledger) <= 0.05
    begun = take([], asked(5, plan=(5, 10, 20)))[0]
    grown = take([begun], asked(20, plan=(5, 10, 20, 40)))[0]
    assert begun.spends == pytest.approx(0.0125) and grown.budget == pytest.approx(0.0375 * 0.9)


def test_what_something_else_has_spent_is_not_there_for_the_rest_of_a_plan():
    ledger = [take([], asked(5, plan=(5, 10, 20)))[0]]
    for one in [asked(seed=9), asked(10, plan=(5, 10, 20)), asked(20, plan=(5, 10, 20))]:
        ledger.append(take(ledger, one)[0])
    assert alpha_budget.spent(ledger) <= 0.05 and LEVELS[5, 10, 20][1] > ledger[2].level > ledger[3].level > 0


def test_one_replicate_shows_nothing_and_costs_nothing():
    assert levels(asked(1), asked(10)) == [0.04, 0.04]


def test_order_does_not_matter_and_what_two_clones_gave_stands():
    ours, theirs = take([], asked())[0], take([], asked(seed=2))[0]
    both = [ours, theirs]
    assert ours.level == theirs.level == 0.04, "each clone knew of one"
    for ledger in (both, both[::-1]):
        assert [take(ledger, one)[0].level for one in both] == [0.04, 0.04]
        entry, price = take(ledger, asked(seed=3))
        assert entry.level == 0 and price.hold, "the next look pays for all"
    twice = [ours, msgspec.structs.replace(ours, level=0.009, spends=0.009)]
    assert take(twice, asked())[0].level == 0.04 and alpha_budget.spent(twice) == ours.spends


def test_a_strategy_keeps_its_account_under_a_new_way_of_writing_identities():
    old = take([], asked(identity="old"))[0]
    again = asked(identity="new", formerly=("older", "old"), seed=2)
    assert take([old], again)[0].level == pytest.approx(0.009)
    assert take([old, take([old], again)[0]], asked(identity="old", seed=3))[0].level == pytest.approx(0.0009)


def test_a_draw_in_an_environment_that_the_baseline_never_had_opens_an_account_once():
    ledger = []

    def level(**changed) -> float:
        entry = take(ledger, asked(**changed))[0]
        ledger.append(entry)
        return round(entry.level, 8)

    assert level(seed=1) == 0.04
    assert level(seed=1, environment="torch 3") == 0.04, "the same sets elsewhere are the same look"
    assert level(seed=2, place=40_000) == 0.009, "drawn again where it was drawn before"
    new = {"environment": "torch 4", "place": 60_000}
    assert level(seed=3, **new) == 0.04, "a new draw in a new environment"
    assert level(seed=4, **new) == 0.009
    assert level(seed=9, environment="torch 4", place=80_000) == 0.0009, "once"
    assert level(seed=6, environment="torch 5", place=60_000) == 0.00009, "an old draw opens nothing"
    assert level(seed=5, environment="torch 2", place=60_000) == 0.0009, "a known environment goes on with its own"
    assert level(seed=7, environment="torch 6", place=None) == 0.00009, "nor does a floor or a paired design"
    assert level(seed=1, environment="torch 4") == 0.04, "nor does a look that was taken cost anything there"
    assert level(seed=8, identity="other", **new) == 0.04


def test_futility_asks_for_the_level_that_this_account_leaves_for_the_last_look_of_the_plan():
    plan = (5, 10, 20)
    first = take([], asked(5, plan=plan))[0]
    whole = alpha_budget.last_level([first], first)
    assert whole == LEVELS[plan][-1]
    before = [take([], asked(seed=seed))[0] for seed in (2,)]
    late = take(before, asked(5, plan=plan))[0]
    left = alpha_budget.last_level([*before, late], late)
    assert left == pytest.approx(0.009 * 10 / 20) == take([*before, late], asked(20, plan=plan))[0].level
    other = asked(5, plan=plan, identity="other")
    assert alpha_budget.last_level([*before, late, take([*before, late], other)[0]], take([], other)[0]) == whole
    result = compare([1.0, 2.0, 3.0, 4.0, 5.0], [1.3, 2.0, 3.2, 4.1, 5.2])
    ctx = SimpleNamespace(params=SimpleNamespace(judge=SimpleNamespace(looks=plan, alpha=0.05)))
    said = [
        list(verdict_lines.futility(ctx, Judgement("inconclusive", "b", result, last_level=level), result))
        for level in (whole, left)
    ]
    assert said[0] == [] and "futile: progress at n=20 is unlikely" in said[1][0]


@pytest.mark.parametrize("name", ["top 5", "accuracy", "loss (mean)"])
def test_the_name_of_a_metric_is_found_in_its_label_whatever_it_holds(name):
    for options in ({}, {"k": 5, "of": "a b"}):
        label = alpha_budget.metric_label(name, options)
        assert alpha_budget.labels(label, name)
        assert not any(alpha_budget.labels(label, other) for other in ("top", "top 50", "acc", "loss", "accuracy k"))
