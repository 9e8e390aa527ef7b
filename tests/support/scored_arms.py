"""Arms of a comparison made of predictions alone, as `evaluate` has them after scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assay.core.schemas import Arm, Environment, Identity, Measurement, Replicate
from assay.metrics.scored_arm import Scored

HERE = Environment(device="cpu", machine="m", system="s", packages={})


def scored(name: str, predictions: np.ndarray, scores: Sequence[Mapping[str, float]] = ()) -> Scored:
    """An arm of R replicates with `predictions` (R, N, …); `scores`: of each replicate, none where nothing is asked."""
    replicates = [
        Replicate(number=n, seed=n, execution="sequential", reused=False, seconds=1, steps=1)
        for n in range(len(predictions))
    ]
    measured = Measurement(
        identity=Identity(code=name, parameters={}, data=""),
        purpose=name,
        profile="full",
        replicates=replicates,
        left_out=0,
        nondeterministic=[],
        peak_memory=0,
        notes=[],
    )
    made = Arm(
        arm=name, name=name, commit="", experiment="", environment=HERE, evaluated="", measurement=measured, unproven=[]
    )
    return Scored(made, replicates, predictions, [dict(one) for one in scores] or [{} for _ in predictions])
