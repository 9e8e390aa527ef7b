"""A published number: reproduced, above, below, or not yet shown and how many runs more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from assay.commands import accept_reference_values
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.report import reference_text
from assay.stats import reference_value
from assay.stats.compare_arms import MeasuredArm
from assay.stats.reference_value import against_reference, chance

PARAMS = "lr: 0.1\nreplicates: 3\nseed: 1\nmetric: {name: accuracy}\njudge:\n  references:\n    paper: "


def arm(*values: float | None) -> MeasuredArm:
    return MeasuredArm(list(enumerate(values)))


RUNS = (0.951, 0.953, 0.955, 0.952, 0.954)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize(
    ("value", "margin", "word"),
    [
        (0.953, 0.005, "reproduced"),
        (0.940, 0.005, "above"),
        (0.970, 0.005, "below"),
        (0.950, 0.004, "not yet shown"),  # it differs from the value, and may lie within the margin
        (0.953, 0.001, "not yet shown"),
    ],
)
def test_the_word_is_about_the_number_line(value: float, margin: float, word: str, direction: str) -> None:
    assert against_reference(arm(*RUNS), value, margin, direction).word == word


def test_how_many_more() -> None:
    found = against_reference(arm(0.95, 0.96, 0.955), 0.953, 0.005, "maximize")
    assert found.word == "not yet shown" and found.n_needed == 13 and found.more == 10
    sd = found.comparison.candidate.sd
    assert sd is not None and chance(0.005, sd, 13, 0.05) >= 0.8 > chance(0.005, sd, 12, 0.05)
    (line,) = reference_text.lines("paper", "Smith 2020", 0.953, 0.005, "accuracy", found)
    assert line.startswith("reference paper 0.953 (Smith 2020): not yet shown within 0.005 (10 more): +0.0020 [")


def test_the_chance_is_the_one_of_a_simulation() -> None:
    """Runs whose mean is the value: how often they show it, and how often runs at the margin's edge do."""
    rng, n, trials = np.random.default_rng(0), 8, 4000
    values = rng.normal(0.0, 1.0, (trials, n))
    half = 2.3646 * values.std(axis=1, ddof=1) / np.sqrt(n)
    inside = np.mean(np.abs(values.mean(axis=1)) + half < 1.2)
    assert abs(inside - chance(1.2, 1.0, n, 0.05)) < 0.02
    at_edge = values + 1.2
    assert np.mean(np.abs(at_edge.mean(axis=1)) + half < 1.2) <= 0.025 + 0.01, "errs at most alpha / 2"


def test_what_holds_a_verdict_back_holds_this_back() -> None:
    assert "no worst value" in against_reference(arm(*RUNS, None), 0.953, 0.005, "maximize").comparison.reason
    alone = against_reference(arm(0.953), 0.953, 0.005, "maximize")
    assert alone.word == "not yet shown" and alone.n_needed is None
    anytime = against_reference(arm(*RUNS), 0.953, 0.005, "maximize", test="anytime")
    assert anytime.n_needed and anytime.n_needed > (
        against_reference(arm(*RUNS), 0.953, 0.005, "maximize").n_needed or 0
    )
    fixed = against_reference(arm(0.953, 0.953), 0.953, 0.005, "maximize", fixed=True)
    assert fixed.word == "reproduced", "nothing is random there"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{value: 0.9, margin: 0.01}", "judge.references.paper lacks source"),
        ("{value: 0.9, source: a}", "judge.references.paper lacks margin"),
        ("{value: 0.9, margin: 0, source: a}", "judge.references.paper.margin is 0; allowed: a number > 0"),
        ("{value: high, margin: 1, source: a}", "judge.references.paper.value is 'high'"),
        ("{value: 0.9, margin: 1, source: a, part: test}", "unknown parameter 'judge.references.paper.part'"),
        ("0.9", "judge.references.paper is 0.9"),
    ],
)
def test_bad_references(given: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        params_yaml.load(PARAMS + given)
    assert said in caught.value.sentence
    assert params_yaml.load(PARAMS + "{value: 0.9, margin: 0.1, source: a}").judge.references


def test_what_to_look_at_names_what_this_run_does() -> None:
    given = {"data": {"folder": "photos"}, "split": {"validation": 0.2, "test": 0.1}, "train": {"sample": 0.5}}
    said = "\n".join(reference_text.what_to_look_at(given, 359, 10_000, 3))
    for part in ("folder photos", "train.sample 0.5", "validation 0.2", "359 examples here, 10,000 in the source"):
        assert part in said
    assert "3 training examples left out" in said and "assay data" in said and "negatives" in said


def test_more_than_anybody_waits_for() -> None:
    wild = against_reference(arm(0.0, 1.0, 0.0, 1.0), 0.5, 1e-6, "maximize")
    assert wild.n_needed is None and chance(1e-6, 0.5, reference_value.MOST, 0.05) < 0.8


def test_the_sealed_part_is_held_against_references_of_its_metric() -> None:
    text = (
        PARAMS + "{value: 0.953, margin: 0.005, source: a}\n    other: {value: 1, margin: 1, source: b, metric: f1}\n"
    )
    params = params_yaml.load(text)
    measuring: Any = SimpleNamespace(
        ctx=SimpleNamespace(params=params), metric=SimpleNamespace(name="accuracy", direction="maximize", worst=None)
    )
    found: Any = SimpleNamespace(arm=arm(*RUNS))
    (line,) = accept_reference_values.lines(measuring, found)
    assert line.startswith("test part, reference paper 0.953 (a): reproduced within 0.005: ")
