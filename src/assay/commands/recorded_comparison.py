"""The candidate of a recorded results/replicates.csv against its baseline, or against the best floor.

Covers: rows to a comparison at a level that the caller knows, and whether there will be anything to compare with. Not
covered: the level (`commands.grid_looks`), running what is compared (`commands.experiment_grid`).
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.baseline.accepted_strategy import FLOOR
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.history import replicates_csv
from assay.history.replicates_csv import Row
from assay.stats import compare_arms, verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import MeasuredArm


def compared(rows: Sequence[Row], metric: str, alpha: float, test: str, hold: str, fixed: bool) -> Comparison:
    """The candidate of one cell against its baseline; against a floor there is nothing to pair with or to permute."""
    floor = not any(row["arm"] == "baseline" for row in rows)
    test = compare_arms.RESAMPLED if replicates_csv.overlap(rows[0]) else test
    return compare_arms.compare_arms(
        _floor(rows, metric) if floor else replicates_csv.arm(rows, "baseline", metric),
        replicates_csv.arm(rows, "candidate", metric),
        rows[0]["direction"],
        test=compare_arms.fitting_test(test, fixed_value=floor),
        alpha=alpha,
        min_effect=float(rows[0]["min_effect"]),
        worst=replicates_csv.worst(rows[0]),
        hold=hold,
        fixed=fixed,
        distinct=replicates_csv.SAME_AS in rows[0],
    )


def best_floor(rows: Sequence[Row], metric: str) -> tuple[str, float]:
    """The floor that is hardest to beat."""
    known = {name: replicates_csv.mean(each) for name, each in replicates_csv.floors(rows, metric).items()}
    if not known:
        raise _nothing_to_beat()
    best = verdict_rule.best(known, rows[0]["direction"])
    return best, known[best]


def _floor(rows: Sequence[Row], metric: str) -> float | MeasuredArm:
    """The best floor, split by split where each replicate has one."""
    return replicates_csv.floors(rows, metric)[best_floor(rows, metric)[0]]


def check_rival(asked: Params) -> None:
    """Raises UsageError where it is known that there is nothing to beat: floors are made of data, a script has none."""
    given = asked.judge.floor is not None or asked.judge.human is not None
    if asked.is_script and asked.baseline == FLOOR and not given:
        raise _nothing_to_beat()


def _nothing_to_beat() -> UsageError:
    return UsageError(
        "values cannot be judged: nothing is accepted, and there is no floor",
        allowed="an accepted strategy, or judge.floor: VALUE in params.yaml",
        hint="dvc exp run, then assay accept EXPERIMENT NAME --first --why REASON",
    )
