"""The doctor at the start of `train`: what it finds is an output and in no key, and moves no weight."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from assay.core.paths import CODED
from assay.metrics import below_floor
from assay.runtime import library_fingerprint
from assay.runtime.source_roots import LIBRARY_TREE
from assay.stages import train_doctor
from support.project import Project, build

DOCTOR = sorted((LIBRARY_TREE.root / "assay/doctor").glob("*.py"))
ASKED = LIBRARY_TREE.root / "assay/stages/doctor_before_training.py"
LEARNING = "src/tasks/digits/learning.py"
SOFTMAX = ("nn.Linear(width, outputs))", "nn.Linear(width, outputs), nn.Softmax(-1))")


def record(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.read("arms/doctor.json"))
    return found


def weights(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project.root / "models/candidate").iterdir()}


def forget(project: Project) -> None:
    """So that everything is trained anew, in the way that was chosen."""
    shutil.rmtree(project.root / ".dvc/tmp/assay")


def test_a_clean_task_has_a_record_that_is_kept_with_its_replicates(tried: Project) -> None:
    """Trained beside the baseline or by `train` itself, then from the cache alone: the same bytes."""
    found = record(tried)
    assert found["schema"] == 1 and found["doctor"] == train_doctor.sources() and found["why"] == ""
    assert {one["result"] for one in found["findings"]} == {"pass", "not applicable"}
    assert not any("second" in key or "time" in key for one in [found, *found["findings"]] for key in one)
    before = tried.read("arms/doctor.json")
    (tried.root / "arms/doctor.json").unlink()
    tried.stage("train")
    assert tried.read("arms/doctor.json") == before


@pytest.fixture(scope="module")
def reached() -> set[Path]:
    names = (*CODED, library_fingerprint.TRAINING)
    return {path for name in names for path in library_fingerprint.sources(name)}


@pytest.mark.parametrize("file", [*DOCTOR, ASKED], ids=lambda path: path.stem)
def test_no_fingerprint_of_a_stage_or_of_training_holds_a_module_of_the_doctor(file: Path, reached: set[Path]) -> None:
    assert file.relative_to(LIBRARY_TREE.root) not in reached


def test_train_is_skipped_under_another_doctor(project: Project, tmp_path: Path) -> None:
    first = "from __future__ import annotations\n"
    edits = {f"doctor/{path.name}": (first, f"{first}\nEDITED = 1\n") for path in DOCTOR if path.stem != "__init__"}
    edits["doctor/__init__.py"] = ("__all__", "EDITED = 1\n__all__")
    edits["stages/doctor_before_training.py"] = ("EXAMPLES, BYTES = 512", "EXAMPLES, BYTES = 256")
    said = project.dvc("repro", "train", **build(tmp_path, edits)).stdout
    assert "Stage 'train' didn't change, skipping" in said


@pytest.mark.extra
def test_an_error_is_said_and_under_error_ends_train_before_its_first_step(project: Project) -> None:
    project.edit(LEARNING, *SOFTMAX)
    said = project.stage("train").stdout
    assert "train: doctor: error loss-wants-logits at model, loss: " in said and "train: next: assay doctor\n" in said
    assert [one["check"] for one in record(project)["findings"] if one["result"] == "fail"] == ["loss-wants-logits"]
    forget(project)
    shutil.rmtree(project.root / "models/candidate")
    project.edit("params.yaml", "machine: ", "machine:\n  doctor: error\n# ")
    refused = project.stage("train", ok=False)
    assert refused.returncode == 2 and not (project.root / "models/candidate").exists()
    assert "assay: train: the doctor ends the training before its first step: error loss-wants-logits" in refused.stderr
    assert "next: assay doctor, or machine.doctor: warn" in refused.stderr


def test_an_older_pipeline_has_no_such_output(project: Project) -> None:
    project.edit("dvc.yaml", "      - arms/doctor.json\n", "")
    (project.root / "arms/doctor.json").unlink()
    project.stage("train")
    assert not (project.root / "arms/doctor.json").exists()


def test_below_a_floor_and_with_diverged_replicates_a_bug_comes_first() -> None:
    assert below_floor.below([0.5, 0.5], {"majority": 0.5, "linear": 0.4}, "maximize") == "majority"
    assert below_floor.below([0.5], {"majority": 0.5}, "minimize") == "majority"
    assert below_floor.below([0.6], {"majority": 0.5, "linear": 0.4}, "maximize") == ""
    assert below_floor.below([], {"majority": 0.5}, "maximize") == below_floor.below([1.0], {}, "maximize") == ""
