"""Candidates after an accept: replicates that had no part in selecting what is now the baseline."""

from __future__ import annotations

import json

import pytest

from assay.history.experiments import read
from assay.history.strategy_status import fold
from support.project import Project


@pytest.mark.extra
def test_a_new_baseline_is_a_new_draw_for_candidates(done: Project) -> None:
    before = {row["seed"] for row in done.replicates("candidate")}
    done.dvc("exp", "run", "--quiet", "-S", "lr=0.021")
    rows = done.replicates("candidate")
    place = 10_000 * fold(read(done.root, experiments=False).tags).strategies["fast"].accepted.sequence
    assert place > 0
    assert [int(row["replicate"]) for row in rows] == [place, place + 1, place + 2]
    assert not before & {row["seed"] for row in rows}
    assert sorted(path.stem for path in (done.root / "models/candidate").glob("*.safetensors")) == [
        row["replicate"] for row in rows
    ]
    done.edit("params.yaml", "test: welch", "test: paired")
    done.stage("context")
    baseline, draw = (json.loads(done.read(f"context/{name}.json")) for name in ("baseline", "draw"))
    assert (baseline["purpose"], baseline["first"]) == (draw["purpose"], draw["first"]) == ("paired", place)
