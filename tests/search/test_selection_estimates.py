"""What the best of many looks like and what it is: shrunk estimates by simulation, contenders by hand."""

from __future__ import annotations

import numpy as np
import pytest

from assay.stats import selection_estimates as selection


def searches(spread: float, k: int, r: int, skewed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    true = spread * (-rng.exponential(size=(300, k)) if skewed else rng.normal(size=(300, k)))
    return true, true[..., None] + 0.5 * rng.normal(size=(300, 1, 2 * r)) + rng.normal(size=(300, k, 2 * r))


@pytest.mark.parametrize(("spread", "k", "r"), [(0.0, 10, 2), (0.3, 10, 3), (1.0, 32, 2), (0.0, 32, 2)])
@pytest.mark.parametrize("doubled", [False, True])
def test_the_shrunk_estimate_of_the_best_is_hardly_biased(spread: float, k: int, r: int, doubled: bool) -> None:
    """All 120 cells, of 2,000 searches each, are in benchmarks/search_selection.py."""
    true, drawn = searches(spread, k, r)
    base, extra = drawn[..., :r], np.full((300, k, r), np.nan)
    if doubled:
        extra = np.where(selection.contenders(base, extra)[..., None], drawn[..., r:], np.nan)
    best = np.take_along_axis(true, selection.ranking(base, extra)[:, :1], -1)[:, 0]
    raw = (selection.raw(base, extra)[:, 0] - best).mean()
    shrunk = (selection.shrunk(base, extra)[:, 0] - best).mean()
    assert raw > 0.2 and abs(shrunk) < (0.2 if k >= 32 else 0.3) and abs(shrunk) < raw


def test_it_holds_where_most_settings_are_poor() -> None:
    """A normal prior errs by .5 sd here."""
    true, drawn = searches(1.0, 32, 2, skewed=True)
    base, extra = drawn[..., :2], np.full((300, 32, 2), np.nan)
    best = np.take_along_axis(true, selection.ranking(base, extra)[:, :1], -1)[:, 0]
    assert abs((selection.shrunk(base, extra)[:, 0] - best).mean()) < 0.2


def test_seeds_that_all_share_change_no_contender() -> None:
    base = np.array([[1.0, 2.0], [1.02, 1.99], [0.2, 1.2]])
    none = np.full((3, 2), np.nan)
    chosen = selection.contenders(base, none)
    assert chosen.tolist() == [True, True, False]
    assert selection.contenders(base + np.array([[5.0, -3.0]]), none).tolist() == chosen.tolist()
    extra = np.array([[1.0, 1.0], [np.nan, np.nan], [np.nan, np.nan]])
    assert not selection.contenders(base, extra)[0], "once"
    assert selection.ranking(base, extra)[0] == 0, "what was measured more often ranks before what was not"


def test_thin_tables() -> None:
    with pytest.raises(ValueError, match="no spread"):
        selection.shrunk(np.zeros((1, 3)), np.full((1, 3), np.nan))
    alike = selection.shrunk(np.full((12, 3), 0.5), np.full((12, 3), np.nan))
    assert np.allclose(alike, 0.5), "a metric without spread"
