"""Error rates on data whose true answer is known: a short version of benchmarks/judge.py, seeds fixed.

The bounds widen with fewer draws (three standard errors), so a method that loses its level by a point or two is
caught by the benchmark and one that loses it by three is caught here.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from assay import compare
from assay.stats import hypothesis_tests, sequential_testing, statistical_power
from assay.stats.arm_scores import ArmScores

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import judge
import judge_nulls as nulls
import judge_order
import judge_splits


def check(rows, *, without=("coverage",)):
    found = [row for row in rows if not any(word in row.what for word in without)]
    assert found
    assert [row for row in found if not row.holds] == []
    return found


def test_null_pairs_of_one_recipe():
    rows = check(nulls.null_pairs(1500, (2, 3, 5)))
    assert sum("refused" in row.what for row in rows) == 2  # permutation cannot reach 0.05 at n=2 and 3


def test_null_pairs_by_monte_carlo():
    baseline, candidate = nulls.pool_pairs(nulls.stream(20), 300, 20, 20)
    wrong = np.mean([nulls.excludes(one) for one in nulls.inferences(baseline, candidate, "permutation")])
    assert nulls.at_most("", float(wrong), 300).holds


def test_arms_of_different_size_and_spread():
    # Equal n with one arm five times wider is the one case that Welch alone does not hold (5.8 %).
    check(nulls.uneven(1000), without=("coverage", "sd 5 v 1"))


def test_without_the_safe_level_uneven_arms_would_err():
    """The test above can fail: Welch's own interval at n=3 against 20 is wrong too often."""
    rng = np.random.default_rng(0)
    baseline, candidate = rng.normal(size=(1500, 20)), rng.normal(size=(1500, 3))
    wrong = np.mean([nulls.excludes(one) for one in nulls.inferences(baseline, candidate, "welch")])
    assert not nulls.at_most("", float(wrong), 1500).holds
    assert statistical_power.welch_size(20, 3, 0.05) == pytest.approx(0.0752, abs=2e-3)
    assert statistical_power.welch_size(20, 3, statistical_power.welch_level(20, 3, 0.05)) == pytest.approx(
        0.05, abs=5e-4
    )


def test_student_and_permutation_hold_where_spreads_differ():
    rows = list(nulls.guarded(500, ((3, 3), (5, 5), (3, 20))))
    assert len(check(rows, without=("unguarded",))) == 12
    worst = max(rows, key=lambda row: row.measured)
    assert worst.what == "student, n=3 v 20, sd 5 v 1: false verdicts unguarded"
    assert worst.measured > 0.4  # what the guard is for


def test_runs_that_are_all_alike_decide_nothing():
    check(nulls.alike(20))


def test_the_bound_beside_n_covers_the_true_rate():
    check(nulls.failure_bounds(4000), without=("nothing",))


def test_cautions_are_rare_on_normal_data_with_an_effect_or_without():
    check(nulls.cautions_on_normal(400, (5, 10)))


def test_lopsided_runs_are_warned_of():
    rng = np.random.default_rng(2)
    warned = ["lopsided" in " ".join(compare(*rng.lognormal(size=(2, 20))).warnings) for _ in range(100)]
    assert np.mean(warned) > 0.8


@pytest.mark.parametrize(("runs", "examples"), [(3, 360), (10, 360)])
def test_coverage_for_new_examples(runs, examples):
    rng, hits = np.random.default_rng(runs), 0
    for _ in range(400):
        low, high = nulls.variance_components.new_examples(*nulls.scores(rng, runs, examples)).ci
        hits += low <= 0 <= high
    assert abs(hits / 400 - 0.95) < 0.02 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_resampled_splits():
    rows = check(nulls.resampling(400))
    assert all(row.measured > 0.12 for row in rows if "plain" in row.what)  # what the correction is for


@pytest.mark.extra
def test_drawn_splits():
    rows = check(judge_splits.drawn_splits(60))
    assert all(row.measured > 0.12 for row in rows if "Welch" in row.what or "paired" in row.what)


def test_looks_spend_alpha_once():
    rows = check(nulls.look_errors(4000))
    assert next(row for row in rows if "by hand" in row.what).measured > 0.10


def test_a_second_look_without_a_plan_spends_what_is_left():
    rows = check(nulls.second_looks(4000))
    power = next(row for row in rows if row.what.startswith("looks at 5 and 10") and "power" in row.what)
    assert power.measured > 0.36  # 0.31 where both levels were added up


def test_the_anytime_test_may_be_read_after_every_seed():
    check(nulls.anytime_errors(2000))


def test_looks_save_seeds_and_keep_power():
    check(nulls.look_savings(250))


def test_levels_are_those_of_the_script():
    """The committed table agrees with a fresh, smaller simulation."""
    import judge_looks

    p = judge_looks.null_p(np.random.default_rng(5), 200_000)[:4]
    fresh = judge_looks.levels(p, (3, 5, 10, 20))
    np.testing.assert_allclose(fresh, sequential_testing.levels(0.05, (3, 5, 10, 20)), rtol=0.12)


def test_factorial_designs():
    check(nulls.factorial_errors(200))


def test_the_same_numbers_give_the_same_answer():
    rng = np.random.default_rng(3)
    baseline, candidate = rng.normal(size=(2, 20))
    one, two = (
        hypothesis_tests.infer(ArmScores(baseline), ArmScores(candidate), "permutation", 0.05) for _ in range(2)
    )
    assert one == two


def test_the_caution_about_order_keeps_its_level_and_speaks_where_runs_resemble_each_other():
    rows = check(judge_order.order_cautions(500), without=("errs",))
    told = [row.measured for row in rows if row.what.startswith("each run")]
    assert told == sorted(told) and told[0] < 0.15, "with few runs its silence says nothing"


def test_the_benchmark_replaces_the_tables_of_the_parts_that_ran_and_nothing_else():
    page = (Path(__file__).parents[2] / "docs" / "measured" / "judge.md").read_text(encoding="utf-8")
    names = list(judge.PARTS)
    assert [page.count(f"<!-- judge.py {name} -->") for name in names] == [1] * len(names)
    text = judge.measured("failures", 50)
    assert text.startswith(f"### {judge.PARTS['failures'].what}\n\n`failures`: ") and "; 50 draws, " in text
    found = judge.written(page, "failures", text)
    assert judge.written(found, "failures", text) == found and text in found
    first, last = "<!-- judge.py failures -->", "<!-- end of failures -->"
    assert found.partition(first)[0] == page.partition(first)[0]
    assert found.partition(last)[2] == page.partition(last)[2]
    assert (
        judge.written("# Page\n", "order", text)
        == f"# Page\n\n<!-- judge.py order -->\n{text}\n<!-- end of order -->\n"
    )
