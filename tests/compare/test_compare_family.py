"""`assay compare BASE A B C`: one family, so that trying more finds no more luck."""

import json
from pathlib import Path

import numpy as np
import pytest

from assay import compare, factorial, holm


def write(name, values):
    Path(name).write_text("\n".join(["acc", *map(repr, values.tolist())]) + "\n")
    return name


@pytest.fixture
def tried(here):
    """A baseline, a candidate that is luck at p = .03, one that is better, one that is the same within 0.1."""
    base = np.array([-1.2, 0.4, -0.3, 0.9, 0.1, -0.8, 1.3, -0.4]) * 0.01
    shifted = [base[::-1] + shift for shift in (0.0098, 0.03, 0.0001)]
    return [write("base.csv", base), *(write(f"{name}.csv", x) for name, x in zip("abc", shifted, strict=True))]


ASKED = ("--direction", "maximize", "--min-effect", "0.1")


def test_what_is_progress_alone_need_not_be_in_the_family(tried, assay):
    asked = ("--direction", "maximize")
    base, lucky, better, _ = tried
    alone = [json.loads(assay(base, name, *asked, "--json")[1]) for name in tried[1:]]
    found = json.loads(assay(*tried, *asked, "--json")[1])
    assert [one["p_holm"] for one in found["family"]] == holm([one["p"] for one in alone])
    assert 0.017 < alone[0]["p"] < 0.05 and alone[0]["verdict"] == "progress"
    assert [one["verdict"] for one in found["family"]] == ["inconclusive", "progress", "inconclusive"]
    assert [one["verdict_alone"] for one in found["family"]] == ["progress", "progress", "inconclusive"]
    assert (found["size"], found["adjustment"], found["metric"]) == (3, "holm", "acc")
    for form in ((), ("--markdown",)):
        said = assay(*tried, *asked, *form)[1]
        assert "one family of 3 under Holm: a difference counts where p (Holm) is at most 0.05" in said
        assert "against base.csv" in said and "lucky" not in said and lucky in said and better in said


def test_equivalence_holds_for_all_of_them(tried, assay):
    found = json.loads(assay(*tried, *ASKED, "--json")[1])
    assert {one["verdict"] for one in found["family"]} == {"equivalent"}
    assert assay(*tried, *ASKED, "--require", "no-regression")[0] == 0


def test_a_gate_asks_it_of_each(tried, assay):
    code, _, err = assay(*tried, "--direction", "maximize", "--require", "progress")
    assert (code, err) == (5, "assay: progress is required, and in the family a.csv is inconclusive\n")


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (["base.csv", "a.csv", "b.csv", "b.csv"], "b.csv is named twice"),
        (["base.csv", "a.csv", "b.csv", "--fixed", "0.5"], "--fixed goes with one side, and 3 are named"),
        (["base.csv", "a.csv", "none.csv"], "none.csv is missing"),
    ],
)
def test_what_is_no_family(tried, assay, sides, said):
    code, out, err = assay(*sides, "--direction", "maximize")
    assert (code, out, said in err) == (2, "", True)


def test_holm_and_factorial_are_public():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    rng = np.random.default_rng(0)
    cells = {(): 0.0, ("a",): 1.0, ("b",): 0.0, ("a", "b"): 1.0}
    found = factorial({frozenset(key): rng.normal(mean, 0.1, 8) for key, mean in cells.items()}, "maximize")
    assert next(e for e in found.effects if e.kind == "main" and e.parts == ("a",)).p_holm < 1e-6
    assert compare([1.0, 2.0, 1.5], [2.0, 3.0, 2.5], "maximize").candidate.n == 3
