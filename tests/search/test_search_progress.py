"""The path of a search: the same however often it was killed, in whatever order its records came."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from assay.commands.search_finalists import RankedSetting, finalists
from assay.core import search_section
from assay.core.search_space import same
from assay.search import generations
from assay.search.generations import ToldSetting
from assay.search.progress import SearchState, ToAsk, ToTrain, TriedSetting

SPACE = {
    "lr": {"log": [1e-4, 1e0]},
    "optimizer": {"choice": ["adam", "sgd"]},
    "momentum": {"float": [0.0, 0.9], "when": "optimizer=sgd"},
}
PLAN = search_section.read({"space": SPACE, "replicates": 2})


def score(one: TriedSetting, seed: int) -> float | None:
    """A training: its value follows from setting and seed; the largest rates diverge."""
    if one.setting["lr"] > 0.3:
        return None
    noise = random.Random(f"{same(one.setting)} {seed}").gauss(0, 0.1)
    return -((np.log10(one.setting["lr"]) + 2) ** 2) + noise


def follow(state: SearchState, settings: int, killed: random.Random | None = None) -> tuple[SearchState, int]:
    """The search to its end, and how many replicates were trained. A kill loses what a step had not recorded."""
    trained = 0
    while (step := state.next(settings)) is not None:
        if isinstance(step, ToAsk):
            more = [
                TriedSetting(len(state.tried) + place, one.setting, step.generation, one.point)
                for place, one in enumerate(step.proposals)
            ]
            state = replace(state, tried=[*state.tried, *more], starts=())
            continue
        todo = step.settings if killed is None else step.settings[: killed.randint(0, len(step.settings))]
        r = PLAN.replicates
        new = {
            (one.number, step.round): [score(one, seed) for seed in range(step.round * r, (step.round + 1) * r)]
            for one in todo
        }
        trained += r * len(new)
        kept = list({**state.scores, **new}.items())
        if killed is not None:
            killed.shuffle(kept)
        state = replace(state, scores=dict(kept))
    return state, trained


@pytest.fixture(scope="module")
def undisturbed() -> tuple[SearchState, int]:
    return follow(SearchState(PLAN, 5, generations.TPE, starts=[{"lr": 0.02, "optimizer": "adam"}]), 32)


def test_kills_change_nothing(undisturbed: tuple[SearchState, int]) -> None:
    whole, trained = undisturbed
    for kill in range(3):
        begun = SearchState(PLAN, 5, generations.TPE, starts=[{"lr": 0.02, "optimizer": "adam"}])
        again, once_more = follow(begun, 32, random.Random(kill))
        assert again.tried == whole.tried and dict(again.scores) == dict(whole.scores) and once_more == trained


def test_it_starts_with_what_was_given_then_draws_from_seeds_of_its_own(undisturbed: tuple[SearchState, int]) -> None:
    tried = undisturbed[0].tried
    assert tried[0].setting == {"lr": 0.02, "optimizer": "adam"}
    first = [tried[0].setting]
    drawn = [one.setting for one in generations.random(PLAN.space, first, 7, generations.seed_of(5, 0))]
    assert [one.setting for one in tried[1:8]] == drawn, "16 random settings before TPE, one of them given"
    second = [one.setting for one in generations.random(PLAN.space, drawn + first, 8, generations.seed_of(5, 1))]
    assert [one.setting for one in tried[8:16]] == second
    assert len({same(one.setting) for one in tried}) == len(tried) == 32, "nothing is tried twice"
    assert all(not PLAN.space.outside(one.setting) for one in tried)


def test_settings_follow_one_sequence() -> None:
    state, _ = follow(SearchState(PLAN, 5, generations.SOBOL, starts=[{"lr": 0.02, "optimizer": "adam"}]), 16)
    points = [one.point for one in state.tried]
    assert points == [None, *range(15)]
    every = [one.setting for one in generations.sobol(PLAN.space, [], 0, 15, 5)]
    assert [one.setting for one in state.tried[1:]] == every
    assert [generations.sampler(tried, generations.SOBOL_TPE) for tried in (0, 63, 64)] == ["sobol", "sobol", "tpe"]
    assert generations.sampler(10_000, generations.SOBOL) == "sobol"


def test_what_was_measured_before_is_told_and_neither_tried_nor_ranked(undisturbed: tuple[SearchState, int]) -> None:
    tried = undisturbed[0].tried[:16]
    begun = replace(undisturbed[0], tried=tried)
    known = ToldSetting({"lr": 0.0123, "optimizer": "sgd", "momentum": 0.5}, 9.0, 0)
    more = replace(begun, known=[known])
    first, second = begun.next(32), more.next(32)
    assert isinstance(first, ToAsk) and isinstance(second, ToAsk) and first.proposals != second.proposals
    near = sum(one.setting["optimizer"] == "sgd" for one in second.proposals)
    assert near >= 4, "the best that is known draws the sampler"
    assert (
        all(one.setting != known.setting for one in second.proposals)
        and more.standing().ranked == begun.standing().ranked
    )
    again = replace(begun, known=[ToldSetting(tried[3].setting, 9.0, 0)])
    assert again.next(32).proposals == first.proposals, "what the search has measured itself counts once"  # type: ignore[union-attr]
    small = search_section.read({"space": {"a": {"int": [1, 9]}}, "replicates": 2})
    whole = SearchState(small, 5, generations.SOBOL, starts=[{"a": 1}], known=[ToldSetting({"a": 2}, 1.0, 0)])
    state, _ = follow_all(whole, 9)
    assert {one.setting["a"] for one in state.tried} == set(range(1, 10)), "a small space is tried as a whole"


def follow_all(state: SearchState, settings: int) -> tuple[SearchState, int]:
    """As `follow`, of settings that all have one value."""
    while (step := state.next(settings)) is not None:
        if isinstance(step, ToAsk):
            more = [
                TriedSetting(len(state.tried) + place, one.setting, step.generation, one.point)
                for place, one in enumerate(step.proposals)
            ]
            state = replace(state, tried=[*state.tried, *more])
        else:
            new = {(one.number, step.round): [1.0, 1.0] for one in step.settings}
            state = replace(state, scores={**state.scores, **new})
    return state, 0


def test_contenders_alone_get_more_replicates_and_once(undisturbed: tuple[SearchState, int]) -> None:
    whole, trained = undisturbed
    doubled = [number for number, part in whole.scores if part == 1]
    assert 1 <= len(doubled) == len(set(doubled)) < 12 and trained == 2 * (32 + len(doubled))
    table = whole.standing()
    assert set(table.ranked[:2]) <= set(doubled), "the best of a search was measured more often"
    assert not set(whole.diverged) & set(table.ranked)


def test_the_first_setting_trains_alone() -> None:
    state = SearchState(PLAN, 5, generations.TPE, tried=[TriedSetting(0, {"lr": 0.1, "optimizer": "adam"}, 0)] * 1)
    step = replace(state, tried=[*state.tried, TriedSetting(1, {"lr": 0.01, "optimizer": "adam"}, 0)]).next(8)
    assert isinstance(step, ToTrain) and [one.number for one in step.settings] == [0]


@pytest.mark.parametrize(
    ("worst", "told"),
    [(None, [0.5, 0.2, 0.2, 0.9, 0.2]), (0.0, [0.5, 0.2, 0.0, 0.9, 0.0])],
)
def test_a_diverged_setting_is_told_as_the_worst_of_earlier_generations(worst: float | None, told: list[float]) -> None:
    found = [
        ToldSetting({}, 0.5, 0),
        ToldSetting({}, 0.2, 0),
        ToldSetting({}, None, 1),
        ToldSetting({}, 0.9, 1),
        ToldSetting({}, None, 2),
    ]
    assert generations.as_told(found, "maximize", worst) == told
    if worst is None:
        assert generations.as_told(found, "minimize", None)[2] == 0.5
        assert generations.as_told([*found[2:4]], "maximize", None) == [0.9, 0.9], "of its own where none is earlier"
        with pytest.raises(ValueError, match="no setting finished"):
            generations.as_told(found[2:3], "maximize", None)


def test_a_space_of_few_settings_ends_the_search() -> None:
    plan = search_section.read({"space": {"a": {"int": [1, 3]}, "b": {"choice": ["x", "y"]}}, "replicates": 2})
    state, _ = SearchState(plan, 1, generations.SOBOL, starts=[{"a": 1, "b": "x"}]), None
    step = state.next(64)
    assert isinstance(step, ToAsk) and len(step.proposals) == 6
    tried = [TriedSetting(place, one.setting, 0, one.point) for place, one in enumerate(step.proposals)]
    scores = {(one.number, part): [0.5, 0.6] for one in tried for part in (0, 1)}
    assert replace(state, tried=tried, scores=scores).next(64) is None


def test_where_everything_diverged_nothing_more_is_asked() -> None:
    tried = [TriedSetting(place, {"lr": 0.1, "optimizer": "adam"}, 0) for place in range(8)]
    scores = {(one.number, 0): [None, None] for one in tried}
    assert SearchState(PLAN, 5, generations.TPE, tried=tried, scores=scores).next(64) is None


def test_each_generation_has_a_seed_of_its_own() -> None:
    assert len({generations.seed_of(search, number) for search in range(20) for number in range(20)}) == 400
    assert generations.sampler(15, generations.TPE) == "random" and generations.sampler(16, generations.TPE) == "tpe"


def test_a_setting_that_does_not_run_counts_as_worst() -> None:
    tried = [TriedSetting(place, {"lr": 0.1 / (place + 1), "optimizer": "adam"}, 0) for place in range(8)]
    scores = {(one.number, 0): [0.5 + one.number / 100, 0.5] for one in tried} | {(3, 0): [None, None]}
    state = SearchState(PLAN, 5, generations.TPE, worst=0.0, tried=tried, scores=scores)
    assert state.standing().ranked[-1] == 3 and state.diverged == [3]
    without = replace(state, worst=None)
    assert 3 not in without.standing().ranked and without.told()[3].value is None


def test_finalists_are_the_best_of_each_scientific_value() -> None:
    plan = search_section.read({"space": {**SPACE, "optimizer": {"choice": ["adam", "sgd"], "role": "scientific"}}})
    made = SimpleNamespace(plan=plan)
    ranked = [
        RankedSetting(number, {"optimizer": name}, 0.9 - number / 100, 4, None)
        for number, name in ((3, "adam"), (0, "adam"), (2, "adam"), (5, "sgd"), (4, "sgd"))
    ]
    assert [one.number for one in finalists(made, ranked, 3)] == [3, 5]
    plain = SimpleNamespace(plan=PLAN)
    assert [one.number for one in finalists(plain, ranked, 3)] == [3], "nothing below HEAD's own setting"
    assert [one.number for one in finalists(plain, ranked[2:], 2)] == [2, 5]
