"""The recipe in whole runs of DVC: options reach training, another loss or other first weights train again."""

from __future__ import annotations

import json
import shutil

import pytest

from support.project import Project

pytestmark = pytest.mark.extra

RECIPE = """
  ema_decay: 0.9
  warmup_epochs: 1
  no_decay: [biases]
  start_from: weights/first.safetensors
"""


def trained(project: Project, *arguments: str) -> bool:
    """Whether a run trains the candidate."""
    return "Running stage 'train'" in project.dvc("exp", "run", *arguments).stdout


def test_options_reach_training_and_their_inputs_are_watched(fresh: Project) -> None:
    fresh.dvc("exp", "run")
    (fresh.root / "weights").mkdir()
    shutil.copyfile(fresh.root / "models/candidate/0.safetensors", fresh.root / "weights/first.safetensors")
    fresh.edit("params.yaml", "\n  clip: 0.0", f"{RECIPE}  clip: 0.0")
    refused = fresh.dvc("exp", "run", ok=False)
    assert refused.returncode and "neither in Git nor a dependency of the stage train" in refused.stderr
    fresh.commit("the weights, too")
    assert trained(fresh)
    given = json.loads(fresh.read("arms/candidate.json"))["measurement"]["identity"]["parameters"]
    assert given["train"]["ema_decay"] == 0.9 and "nesterov" not in given["train"] and "loss" not in given
    assert not trained(fresh)
    assert trained(fresh, "-S", "+loss.name=focal") and trained(fresh, "-S", "+loss.options.gamma=1.0")
    shutil.copyfile(fresh.root / "models/candidate/1.safetensors", fresh.root / "weights/first.safetensors")
    assert trained(fresh)


def test_a_sweep_adds_an_option_that_the_file_has_not(fresh: Project) -> None:
    said = fresh.assay("sweep", "-S", "train.ema_decay=0.5,0.9", "--json")
    assert "ema_decay" in said.stdout
