"""Golden reports: what people read, word for word."""

import numpy as np
import pytest

from assay import compare
from assay.report import comparison_text as report
from assay.report import factorial_table as factorial_report
from assay.stats.factorial_design import factorial
from assay.stats.variance_components import new_examples

BASELINE = [0.9561, 0.9602, 0.9650, 0.9583, 0.9604]
CANDIDATE = [0.9702, 0.9741, 0.9688, 0.9722, 0.9707]


def test_progress():
    assert report.verdict_lines(compare(BASELINE, CANDIDATE), "accuracy", "strategy/adam", "accuracy-1.5f3c9a2e") == (
        "progress   accuracy 0.9712 ±0.0020 (n=5, failures < 46 %) vs "
        "strategy/adam 0.9600 ±0.0033 (n=5, failures < 46 %)\n"
        "           +0.0112 [+0.0071, +0.0153] 95% CI, Welch p=0.00042 · accuracy-1.5f3c9a2e"
    )


def test_inconclusive_names_the_runs_that_the_smallest_effect_needs():
    close = [x - 0.0105 for x in CANDIDATE]
    assert report.verdict_lines(compare(BASELINE, close, min_effect=0.002), "accuracy", "adam", comparisons=7) == (
        "inconclusive accuracy 0.9607 ±0.0020 (n=5, failures < 46 %) vs adam 0.9600 ±0.0033 (n=5, failures < 46 %)\n"
        "             +0.0007 [-0.0034, +0.0048] 95% CI, Welch p=0.70\n"
        "             n=31 runs per arm would find a difference of 0.002 with 80% power\n"
        "             7 verdict(s) were already given against this baseline"
    )


def test_without_a_smallest_effect_equivalence_is_not_offered():
    text = report.verdict_lines(compare(BASELINE, BASELINE[::-1]), "accuracy", "adam")
    assert "min_effect is 0: equivalent cannot be shown, and no number of runs can be asked for" in text


def test_diverged():
    result = compare(BASELINE, CANDIDATE[:3], diverged_candidate=2)
    assert report.verdict_lines(result, "accuracy", "adam") == (
        "inconclusive accuracy 0.9710 ±0.0027 (n=3, failures < 82 %) vs adam 0.9600 ±0.0033 (n=5, failures < 46 %)\n"
        "             +0.0110 [+0.0055, +0.0166] 95% CI, Welch p=0.0037\n"
        "             baseline diverged 0 of 5, candidate diverged 2 of 5 (Fisher p=0.44)\n"
        "             held back: diverged replicates are results too, and no worst value is named for them\n"
        "             min_effect is 0: equivalent cannot be shown, and no number of runs can be asked for"
    )


def test_the_verdict_says_whether_it_is_shown_for_new_examples():
    """Progress above an interval that spans zero read as a contradiction."""
    result = compare(BASELINE, CANDIDATE)
    rng = np.random.default_rng(0)
    before, after = (rng.random((5, 30)) < share for share in (0.8, 0.87))
    first = report.verdict_lines(result, "accuracy", "adam", examples=new_examples(before, after)).splitlines()[0]
    assert first.endswith("adam 0.9600 ±0.0033 (n=5, failures < 46 %); for these examples, not shown for new ones")
    sure = new_examples(before, np.ones((5, 30)) - (rng.random((5, 30)) < 0.01))
    text = report.full(result, "accuracy", "adam", "", 0, reached=report.reach(result, sure))
    assert text.splitlines()[0].endswith("; shown for new examples, too")
    worse = compare(CANDIDATE, BASELINE)
    assert report.reach(worse, new_examples(after, before)).endswith("not shown for new ones")
    assert report.reach(worse, new_examples(np.ones((5, 30)), before)) == "; shown for new examples, too"
    assert report.reach(result, None) == report.reach(compare(BASELINE, BASELINE[::-1]), sure) == ""
    assert "against adam; shown for new" in report.markdown(
        result, "accuracy", ("adam", "new"), "", 0, reached=report.reach(result, sure)
    )


def test_nothing_to_say():
    text = report.verdict_lines(compare([1.0], [2.0]), "loss", "adam")
    assert text.splitlines()[1].strip() == "+1.0000, no interval: n=1 says nothing about the spread between runs"


def test_both_fixed():
    text = report.verdict_lines(compare([1.0], [2.0], fixed=True), "accuracy", "adam")
    assert text.splitlines()[0] == "progress   accuracy 2.0000 (fixed) vs adam 1.0000 (fixed)"
    assert text.splitlines()[1].strip() == "+1.0000 exactly: both are fixed values, and no seed moves them"


def test_pairs_say_what_sharing_seeds_brought():
    baseline = [1.0, 2.0, 3.0, 4.0, 5.0]
    good = report.verdict_lines(compare(baseline, [1.1, 2.3, 2.9, 4.2, 5.1], paired=True), "accuracy", "adam")
    assert "pairs correlate r=+1.00: 3 seeds an arm find +1 sd where unpaired ones take 17" in good
    bad = report.verdict_lines(compare(baseline, [5.1, 4.2, 2.9, 2.3, 1.1], paired=True), "accuracy", "adam")
    assert "pairs correlate r=-1.00: pairing costs seeds here; better judge.test: welch" in bad


@pytest.mark.parametrize(("share", "text"), [(0.2589, "26"), (0.0999, "10"), (0.0031, "0.4"), (0.95, "95")])
def test_a_bound_is_rounded_up(share, text):
    assert report.percent(share) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.5, "0.50"), (0.0995, "0.100"), (0.05, "0.050"), (0.000048, "0.000048"), (3e-9, "3e-09"), (1, "1.00")],
)
def test_p_has_two_figures(p, text):
    assert report.p_value(p) == text


def test_new_examples():
    found = new_examples([[0, 1, 1, 0], [0, 1, 1, 1]], [[1, 1, 1, 1], [1, 1, 0, 1]])
    assert report.new_examples_line(found, 2) == GOLDEN_NEW


GOLDEN_NEW = (
    "new examples: [-0.89, +1.39] 95% CI, p=0.50, 70% of its variance from the 4 examples; 2 examples fixed, 1 broken"
)


def test_factorial():
    found = factorial(
        {
            (): [1.0, 1.1, 0.9, 1.0],
            ("lr=1",): [3.0, 3.1, 2.9, 3.1],
            ("drop=0",): [0.5, 0.6, 0.4, 0.4],
            ("lr=1", "drop=0"): [2.5, 2.4, 2.6, 2.5],
        }
    )
    assert factorial_report.table(found) == GOLDEN_FACTORIAL


GOLDEN_FACTORIAL = """\
effect             delta    95% CI              p (Holm)
-----------------  -------  ------------------  ----------  -----
lr=1               +2.025   [+1.928, +2.122]    1e-13       shown
drop=0             -0.525   [-0.6222, -0.4278]  5e-07       shown
lr=1 × drop=0      +0       [-0.1944, +0.1944]  1.00
lr=1 alone         +2.025   [+1.87, +2.18]      5e-07       shown
lr=1 given drop=0  +2.025   [+1.87, +2.18]      5e-07       shown
drop=0 alone       -0.525   [-0.6799, -0.3701]  0.00055     shown
drop=0 given lr=1  -0.525   [-0.6799, -0.3701]  0.00055     shown
all                +1.5     [+1.359, +1.641]    9e-07       shown

the gain of the whole hides a loss: drop=0 harms (on average, drop=0 alone, drop=0 given lr=1): try the whole without drop=0"""  # noqa: E501
