"""The ladder's own steps: made examples, real ones, and what is taken out of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from miniature import DIGITS, Make, Project, digits

from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.data.storage import write
from assay.replicates import assemble_measurement
from assay.stages import debugging_ladder
from assay.stages.debugging_ladder import Ladder

DEAD = DIGITS.read_text().replace("outputs))", "outputs), nn.Softmax(-1))")


def ladder(project: Project, scratch: Path, key: str = "") -> Ladder:
    for name, part in (("train", digits(0, 400)), ("validation", digits(1000, 1060))):
        write(project.root / "data" / "split" / name, name, part)
    params: Params = assemble_measurement.requested(project.request([0]), project.root)
    return Ladder(project.root, params, scratch, key)


def test_a_sound_task_climbs(make: Make, tmp_path: Path) -> None:
    found = ladder(make(), tmp_path)
    made, real = found.made(), found.real()
    assert (made.result, real.result) == ("pass", "pass")
    assert "% of the way from loss 2.3" in real.measured and real.threshold == "5 %"


def test_a_softmax_too_many_fails(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debugging_ladder, "STEPS", 60)
    found = ladder(make(DEAD, train={"epochs": 1, "batch_size": 100}), tmp_path)
    assert found.real().result == "fail"


def test_a_loop_of_the_tasks_own_is_not_fitted(make: Make, tmp_path: Path) -> None:
    found = ladder(make("def fit(params, data, seed):\n    return None\n"), tmp_path)
    assert {found.made().result, found.real().result} == {"not applicable"}


def test_an_unknown_parameter_is_refused_with_those_that_are_numbers(make: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no number 'model\.width'.*allowed: .*lr, .*train\.epochs"):
        ladder(make(), tmp_path, "model.width")
    assert ladder(make(), tmp_path, "train.epochs").key == "train.epochs"


def test_made_examples_have_a_rule_and_the_shapes_of_real_ones() -> None:
    real = digits(0, 100)
    made = debugging_ladder._made(real)
    assert made.inputs.shape == (16, 8, 8) and made.inputs.dtype == real.inputs.dtype
    assert len(set(made.targets.tolist())) == 4 and made.targets.dtype == real.targets.dtype
    alike = [np.abs(made.inputs[0].astype(int) - made.inputs[at]).mean() for at in (4, 1)]
    assert alike[0] < alike[1] / 4, "examples of a kind resemble each other"


def test_inputs_with_another_target_are_taken_out() -> None:
    real = digits(0, 20)
    inputs, targets = real.inputs.copy(), real.targets.copy()
    inputs[1], targets[1] = inputs[0], (targets[0] + 1) % 10
    inputs[3], targets[3] = inputs[2], targets[2]
    kept = debugging_ladder._consistent(replace(real, inputs=inputs, targets=targets))
    assert len(kept) == 18 and real.ids[2] in kept.ids and real.ids[0] not in kept.ids
