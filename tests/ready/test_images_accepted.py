"""Images in files through a whole project: run, accepted, and measured against, after the folder is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.serving.predict import Predictor
from support.project import Project, create

METRICS = """from assay.ready.metrics import log_loss, nats

METRICS = {"log_loss": {"function": log_loss, "direction": "minimize", "min_effect": 0.01, "per_example": nats}}
"""
MEMBERS = "augment, decode, loss, model, preprocess, statistics"


@pytest.mark.extra
def test_images_in_files_are_accepted_and_measured_against(tmp_path: Path) -> None:
    project: Project = create(tmp_path)
    chance = np.random.default_rng(0)
    for label, name in enumerate(("above", "below")):
        (project.root / "photos" / name).mkdir(parents=True)
        for number in range(60):
            shown = chance.integers(0, 100, (20, 24, 3), dtype=np.uint8)
            shown[label * 10 :][:10] += 150
            Image.fromarray(shown).save(project.root / "photos" / name / f"{number:03}.png")
    folder = project.root / "src/tasks/photos"
    folder.mkdir()
    (folder / "data.py").write_text("from assay.ready.image_folder import prepare as prepare\n", encoding="utf-8")
    (folder / "learning.py").write_text(f"from assay.ready.image_folder import {MEMBERS}\n", encoding="utf-8")
    (folder / "metrics.py").write_text(METRICS, encoding="utf-8")
    project.edit("params.yaml", "name: digits", "name: photos")
    for old, new in {
        "lr: 0.003": "lr: 0.02",
        "  epochs: 3": "  epochs: 15",
        "batch_size: 64": "batch_size: 16",
    }.items():
        project.edit("params.yaml", old, new)
    project.edit("params.yaml", "  name: accuracy", "  name: log_loss")
    project.edit("params.yaml", "data: {}", "data: {folder: photos, size: 16}")
    project.edit("params.yaml", "  hidden: 128\n  layers: 1\n  dropout: 0.1\n", "  width: 4\n")
    project.edit("params.yaml", "      hidden: 64\n", "      width: 2\n")
    with (project.root / ".gitignore").open("a", encoding="utf-8") as stream:
        stream.write("/photos/\n")
    project.commit("photos")
    project.dvc("exp", "run", "--name", "first")
    assert "pillow" in project.read("context/environment.json").lower()
    shutil.rmtree(project.root / "photos")  # everything is stored by now
    project.commit("measured")
    project.assay("accept", "first", "first")
    assert project.git("tag", "--list", "strategy/*") == "strategy/first"
    said = project.assay("export", "first", "--to", str(tmp_path / "model")).stdout
    assert "predict.py' FOLDER predictions.npy" in said and "are reproduced" in said
    dark = np.zeros((20, 24, 3), dtype=np.uint8)
    dark[10:] = 200
    Image.fromarray(dark).save(tmp_path / "dark.png")
    assert Predictor(tmp_path / "model").predict([tmp_path / "dark.png"]).argmax(axis=1).tolist() == [1]
