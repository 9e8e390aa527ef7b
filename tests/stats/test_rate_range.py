"""The range of learning rates: plateau, edge, open ends, what is trained in full."""

from __future__ import annotations

import itertools

import pytest

from assay.commands.rates import RateTest, short, shortened, spaced
from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.report import rates_text
from assay.stats.rate_range import beyond, rate_range


def seeds(*means: float | None) -> dict[float, list[float | None]]:
    """Losses of three seeds at the rates 1e-4, 1e-3, …"""
    found: dict[float, list[float | None]] = {}
    for place, mean in enumerate(means):
        found[10.0 ** (place - 4)] = [None] * 3 if mean is None else [mean - 0.01, mean, mean + 0.01]
    return found


def test_the_plateau_and_the_edge() -> None:
    found = rate_range(seeds(2.3, 2.0, 0.9, 1.0, 3.0, None))
    assert found is not None
    assert (found.best, found.low, found.high, found.edge) == (0.01, 0.01, 0.1, 1.0)
    assert found.open == () and found.confirm == (0.0033, 0.01, 0.032)
    said = rates_text.text(found, 0.003)
    assert "range, not choice: 0.01 to 0.1" in said and "edge: from 1 on training breaks" in said
    assert "HEAD's 0.003 lies outside of it" in said and said.count("█") and "diverged" in said
    assert said.splitlines()[-1].startswith("next: assay rates --confirm, or assay sweep -S lr=0.0033,0.01,0.032")


def test_an_end_of_the_rates_is_said() -> None:
    found = rate_range(seeds(2.3, 2.0, 1.5, 0.9))
    assert found is not None and found.open == ("high",) and found.edge is None
    assert "the range is open at its high end: look farther with --to" in rates_text.text(found, 0.1)
    low = rate_range(seeds(0.9, 2.0, 2.5, None))
    assert low is not None and low.open == ("low",) and low.edge == 0.001


def test_one_diverged_seed_is_no_plateau_and_a_gap_no_edge() -> None:
    losses = seeds(2.3, 1.0, 0.9, 1.2)
    losses[0.01][1] = None
    found = rate_range(losses)
    assert found is not None and found.means[0.01] is None
    assert (found.best, found.high, found.edge) == (0.001, 0.001, None)
    assert rate_range(seeds(None, None)) is None


@pytest.mark.parametrize(
    ("epochs", "sample", "short_of"),
    [(20, 1.0, (2, 1.0)), (25, 0.5, (2, 0.5)), (3, 1.0, (1, 0.3)), (1, 0.5, (1, 0.05))],
)
def test_a_tenth_of_the_steps_at_most(epochs: int, sample: float, short_of: tuple[int, float]) -> None:
    content = f"{{lr: 0.1, replicates: 3, seed: 1, metric: {{name: a}}, train: {{epochs: {epochs}, sample: {sample}}}}}"
    assert short(params_yaml.resolved(content)) == short_of


def test_the_step_size_stays_whatever_the_recipe_says() -> None:
    train = "{epochs: 20, schedule: cosine, warmup_epochs: 3, min_lr: 0.01, clip: 1}"
    asked = params_yaml.resolved(f"{{lr: 0.1, replicates: 3, seed: 1, metric: {{name: a}}, train: {train}}}")
    assert shortened(asked) == {
        "train.epochs": 2,
        "train.sample": 1.0,
        "train.schedule": "constant",
        "train.warmup_epochs": 0.0,
        "train.min_lr": 0.0,
    }


def test_rates_are_spaced_in_their_logarithm() -> None:
    found = spaced(1e-5, 1e-1)
    assert len(found) == 16 and (found[0], found[-1]) == (1e-5, 0.1)
    assert all(1.7 < later / earlier < 2.0 for earlier, later in itertools.pairwise(found))
    for low, high in ((0.0, 1.0), (1.0, 1.5), (1.0, 0.1), (-1.0, 1.0)):
        with pytest.raises(AssayError, match="are no span"):
            spaced(low, high)


def test_whole_trainings_have_the_last_word() -> None:
    found = rate_range(seeds(2.3, 2.0, 0.9, 1.0, 3.0, None))
    assert found is not None
    assert (
        rates_text.confirmed(found, 0.01) == "in full lr 0.01 ends best of those trained; after a few steps it was 0.01"
    )
    assert [beyond(found, rate) for rate in (0.0033, 0.01, 0.032)] == [0.0011, None, 0.096]
    assert beyond(found, 0.4) is None, "training breaks there"
    assert rates_text.confirmed(found, None) == "none of the rates finished; the few steps liked 0.01 best"
    test = RateTest(0.01, 1, 1.0, found, 0.032)
    assert test.confirmed == [0.0033, 0.0067, 0.021], "what HEAD and the baseline have is not trained again"
