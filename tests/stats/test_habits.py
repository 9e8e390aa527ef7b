"""Worthless ideas that somebody wants to pass: a short form of benchmarks/null_habits.py, seeds fixed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from assay.stats.confirmation_rule import better

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import null_habits
import null_ideas
from null_habits import HABITS


@pytest.fixture(scope="module")
def pool():
    return null_ideas.pool()


@pytest.mark.parametrize("habit", HABITS)
def test_no_habit_makes_a_worthless_idea_look_good_more_often_than_alpha(pool, habit):
    found = null_habits.wrong(np.random.default_rng(1), pool, 8000, HABITS[habit])[1]
    assert 0.02 < found.mean() < 0.05 + 3 * 0.0025


def test_nor_does_choosing_the_next_look_by_the_last(pool):
    assert null_habits.hunted(np.random.default_rng(2), pool, 8000).mean() < 0.05 + 3 * 0.0025


def test_fifty_ideas_with_twenty_seeds_each_are_turned_away(pool):
    """400 projects: 0.022 is found with many more, 0.05 allowed; three standard errors are 0.033."""
    assert null_habits.accepted(np.random.default_rng(3), pool, 400, HABITS["20 seeds each"]).mean() < 0.05
    assert null_habits.accepted(np.random.default_rng(4), pool, 60, [null_ideas.look()], 20).mean() <= 0.1


def test_free_redraws_are_not(pool):
    """The simulation can fail: twenty seeds at the level of the first are what was done before."""
    rng, wrong = np.random.default_rng(5), np.zeros(4000, bool)
    for _ in range(20):
        wrong |= better(*null_ideas.draw(rng, pool, 2, 4000, 10), "minimize", null_ideas.FIRST)
    assert wrong.mean() > 0.25
