"""The recorder in `train`: its record is an output and in no key, and what trained without one can be recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from assay.core import net_record
from assay.core.net_record import MOST_BYTES
from assay.core.paths import CODED
from assay.data import storage
from assay.replicates.assemble_measurement import NOBODY
from assay.runtime import library_fingerprint
from assay.runtime.source_roots import LIBRARY_TREE
from assay.stages import train_recorder
from support.project import Project, build

RECORDER = sorted((LIBRARY_TREE.root / "assay/recorder").glob("*.py"))


def record(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.read("arms/net.json"))
    return found


def forget_records(project: Project) -> None:
    """As if all replicates had trained before there was a recorder."""
    kept = list((project.root / ".dvc/tmp/assay/replicates").glob("*/recorded"))
    assert kept
    for path in kept:
        path.unlink()


def test_the_record_is_kept_with_the_replicate_and_shows_validation_examples(tried: Project) -> None:
    """Trained beside the baseline or by `train` itself, then from the cache alone: the same bytes."""
    before = tried.read("arms/net.json")
    assert len(before.encode()) <= MOST_BYTES
    found = record(tried)
    assert found.get("why", "") == "" and len(found["training"]["examples"]) == 16
    evaluated = set(map(str, storage.read(tried.root / "data/split/validation")[0].ids))
    assert set(found["predictions"]["ids"]) <= evaluated, "and no other part"
    (tried.root / "arms/net.json").unlink()
    tried.stage("train")
    assert tried.read("arms/net.json") == before
    forget_records(tried)
    tried.stage("train")
    assert record(tried)["why"] == train_recorder.NOTHING


def test_no_fingerprint_holds_the_recorder_and_confirmations_have_none() -> None:
    reached = {path for name in CODED for path in library_fingerprint.sources(name)}
    training = set(library_fingerprint.sources(library_fingerprint.TRAINING))
    for file in RECORDER:
        assert file.relative_to(LIBRARY_TREE.root) not in reached | training
    assert Path("assay/core/net_record.py") not in training
    assert Path("assay/training/recorder_beside_lanes.py") in training
    assert NOBODY.recorder == "", "what may be the test part is measured with nobody beside it"


@pytest.mark.extra
def test_train_is_skipped_under_another_recorder_and_an_older_pipeline_has_no_record(
    project: Project, tmp_path: Path
) -> None:
    first = "from __future__ import annotations\n"
    edits = {f"recorder/{path.name}": (first, f"{first}\nEDITED = 1\n") for path in RECORDER}
    said = project.dvc("repro", "train", **build(tmp_path, edits)).stdout
    assert "Stage 'train' didn't change, skipping" in said
    project.edit("dvc.yaml", "      - arms/net.json\n", "")
    (project.root / "arms/net.json").unlink()
    project.stage("train")
    assert not (project.root / "arms/net.json").exists()


@pytest.mark.extra
def test_assay_net_records_what_trained_without_a_recorder(tried: Project) -> None:
    before = tried.read("arms/net.json")
    weights = {path.name: path.read_bytes() for path in (tried.root / "models/candidate").iterdir()}
    said = tried.run("assay", "net").stdout
    assert "net: a record is there already, and nothing was trained" in said
    forget_records(tried)
    tried.stage("train")
    page = "page.html"
    tried.run("assay", "report", "-o", page)
    assert "trained without a recorder; next: <code>assay net</code>" in tried.read(page)
    said = tried.run("assay", "net").stdout
    assert "with the weights that are kept, bit for bit" in said and "next: dvc repro" in said
    assert tried.read("arms/net.json") == before
    tried.dvc("repro")
    assert {path.name: path.read_bytes() for path in (tried.root / "models/candidate").iterdir()} == weights
    assert tried.read("arms/net.json") == before
    tried.run("assay", "report", "-o", page)
    assert "exactly as the network got them" in tried.read(page)
    shutil.rmtree(tried.root / ".dvc/tmp/assay/replicates")
    assert "which the cache had no more" in tried.run("assay", "net").stdout
    assert net_record.decoded(tried.read("arms/net.json").encode(), "here").why == ""
