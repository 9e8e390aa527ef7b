"""A gain that costs more than the project wants to pay: a caution, by what both arms' records say."""

from __future__ import annotations

import json
from dataclasses import replace

from assay.stats.training_cost import Expense, over
from support.project import Project


def test_what_is_over_the_limit_is_named_with_its_ratio() -> None:
    dear, cheap = Expense("training time", "s a replicate", 1.0, 2.5), Expense("weights", "numbers", 900, 1000)
    assert list(over([dear, cheap], 2.0)) == [
        "caution: the gain costs 2.5 times the baseline's training time (2.5 against 1 s a replicate); "
        "judge.max_cost is 2"
    ]
    assert len(list(over([dear, cheap], 1.1))) == 2 and not list(over([dear, cheap], 2.5))
    assert not list(over([Expense("weights", "numbers", 0, 5)], 1.0))


def test_a_time_too_short_to_be_measured_gives_no_caution() -> None:
    short = Expense("inference time", "s an example", 1e-7, 5e-7, 0.0004)
    (said,) = over([short], 2.0)
    assert said.startswith("the candidate's inference time is not held against judge.max_cost: 0.4 ms were measured")
    assert not list(over([short], 6.0))
    assert next(over([replace(short, measured=0.001)], 2.0)).startswith(
        "caution: the gain costs 5 times the baseline's"
    )


def test_a_gain_that_costs_more(tried: Project) -> None:
    record = json.loads(tried.read("arms/candidate.json"))
    measured = record["measurement"]
    baseline = json.loads(tried.read("arms/baseline.json"))["measurement"]
    assert measured["weights"] == baseline["weights"] == 64 * 128 + 128 + 128 * 10 + 10
    assert tried.metrics["verdict"] == "progress"
    assert "caution: the gain costs" not in tried.read("results/verdict.txt"), "off unless asked for"
    measured["weights"] *= 3
    for one in measured["replicates"]:
        assert one["inference"] > 0, "measured where it was trained"
        one |= {"execution": "sequential", "seconds": 1000.0, "inference": 1.0}
    (tried.root / "arms/candidate.json").write_text(json.dumps(record), encoding="utf-8")
    tried.edit("params.yaml", "max_cost:", "max_cost: 2  #")
    said = tried.judged()
    assert "caution: the gain costs 3 times the baseline's weights (28,830 against 9,610 numbers)" in said
    ways = {one["execution"] for one in baseline["replicates"]}
    for time in ("training", "inference"):
        assert (f"the baseline's {time} time" in said) == (ways == {"sequential"}), "ways that cannot be compared"
