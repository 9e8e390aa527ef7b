"""Neighbours of a fresh strategy do not inherit its luck: a short form of benchmarks/null_neighbours.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import null_ideas
import null_neighbours
from null_neighbours import CASES


@pytest.mark.parametrize("case", [case for case in CASES if case[0]])
def test_a_neighbour_errs_no_more_often_than_alpha(case):
    progress, any_ = null_neighbours.wrong(np.random.default_rng(1), null_ideas.pool(), 10_000, case)
    assert len(any_) > 1500
    assert 0.02 < any_.mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(any_))
    assert progress.mean() < 0.03


def test_with_the_numbers_that_selected_the_strategy_it_does():
    """The simulation can fail: what was done before."""
    found = null_neighbours.wrong(np.random.default_rng(1), null_ideas.pool(), 10_000, (2.0, 50), ())[0]
    assert found.mean() > 0.2
