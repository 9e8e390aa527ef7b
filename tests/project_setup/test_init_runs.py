"""`assay init`, then what it prints: a verdict in a repository that never heard of Assay before."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from project_setup.conftest import Repository

pytestmark = pytest.mark.extra
FEW = ("-S", "{}replicates=2", "-S", "{}train.epochs=2")
#: template → what its examples show by themselves in results/cases.json
SHOWN = {"image": "picture", "masks": "picture", "loop": "picture", "table": "row", "regression": "row"}
WORDS = {"good": "fine warm bright", "bad": "cold dull grey"}


def rows(number: bool) -> str:
    chance = np.random.default_rng(0)
    values = chance.normal(size=(240, 2))
    lines = [f"{a:.3f},{b:.3f},{a - b if number else 'x' if a * b > 0 else 'y'}" for a, b in values]
    return "\n".join(["a,b,label", *lines]) + "\n"


def images(root: Path) -> None:
    from PIL import Image

    chance = np.random.default_rng(0)
    for channel, name in enumerate(("cats", "dogs")):
        (root / name).mkdir(parents=True)
        for number in range(30):
            pixels = chance.integers(0, 100, (20, 24, 3))
            pixels[..., channel] += 40
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")


def masks(root: Path) -> None:
    """Bright squares, and masks of 0 and 255 as most tools write them."""
    from PIL import Image

    chance = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(30):
        mask = np.zeros((20, 20), dtype=np.uint8)
        mask[number % 10 : number % 10 + 8, 4:12] = 255
        shown = (mask[..., None] // 2 + chance.integers(0, 80, (20, 20, 3))).astype(np.uint8)
        Image.fromarray(shown).save(root / "images" / f"{number}.jpg")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")


def fill(user: Repository, template: str) -> str:
    """Data for a template, not committed; their path."""
    if template == "image":
        images(user.root / "my photos")
        return "my photos"
    if template == "text":
        chance = np.random.default_rng(0)
        for name, words in WORDS.items():
            for number in range(40):
                user.write(f"reviews/{name}/{number}.txt", " ".join(chance.choice(words.split(), 6)) + f" {number}")
        return "reviews"
    if template == "tokens":
        chance = np.random.default_rng(0)
        user.write("book.txt", " ".join(chance.choice(["the", "cat", "sat", "on", "a", "mat", "and", "ran"], 2500)))
        return "book.txt"
    if template == "masks":
        masks(user.root / "cells")
        return "cells"
    if template == "loop":
        return ""
    user.write("mine.csv", rows(template == "regression"))
    return "mine.csv"


@pytest.mark.parametrize("template", ["image", "masks", "table", "text", "tokens", "regression", "loop"])
def test_a_template_ends_in_a_verdict(user: Repository, template: str) -> None:
    path = fill(user, template)
    done = user.init(*([path] if path else []), template="loop" if template == "loop" else "")
    assert done.template == template and done.next[0] == "dvc exp run"
    assert user.assay("check").stdout.endswith("check: nothing to refuse; next: dvc exp run\n")
    said = user.dvc("exp", "run", *(word.format("") for word in FEW))
    assert user.metrics["verdict"] in ("progress", "inconclusive", "regression"), said.stdout
    record = json.loads(user.read("results/cases.json"))
    assert record["notes"] == [] and record["cases"]
    assert all(SHOWN.get(template, "text") in case["display"] for case in record["cases"])
    listed = user.git("for-each-ref", "--format=%(objectname)", "refs/exps/*/*/*")
    assert not path or not user.git("ls-tree", "-r", "--name-only", listed, "--", path), "no data in the commit"
    assert not [line for line in user.status().split("\n") if path and path in line]


def test_data_in_neither_git_nor_dvc_can_be_accepted(user: Repository) -> None:
    """And the line that is printed lets other clones repeat it."""
    fill(user, "table")
    done = user.init("mine.csv")
    user.dvc("exp", "run", "--name", "first", "-S", "replicates=4", "-S", "lr=0.01")
    assert user.metrics["verdict"] == "progress"
    user.assay("accept", "first", "first")
    assert not user.git("ls-files", "--", "mine.csv")
    (note,) = [note for note in done.notes if "other clones cannot repeat them until: " in note]
    user.run("sh", "-c", note.partition(" until: ")[2])
    assert user.git("ls-files", "--", "mine.csv.dvc") and user.status() == ""
    assert "Stage 'prepare' didn't change, skipping" in user.dvc("exp", "run").stdout


def test_every_command_in_a_folder_of_its_own(user: Repository) -> None:
    user.write("dvc.yaml", "stages:\n  train:\n    cmd: echo mine\n")
    user.write("mine.csv", rows(False))
    user.commit("mine")
    done = user.init("mine.csv")
    assert done.folder == "assay"
    first, second = map(shlex.split, done.next)
    user.dvc(*first[1:], "--name", "first", *(word.format("assay/params.yaml:") for word in FEW))
    assert '"n": 2' in user.read("assay/results/metrics.json")
    user.dvc(*second[1:])
    assert "lr: 0.001" in user.read("assay/params.yaml")
    assert "echo mine" in user.dvc("exp", "run", "-P").stdout
    status = user.assay("status", ok=False).stdout
    assert "experiments" in status and "assay/dvc.yaml" in user.assay("accept", "first", "x", ok=False).stderr


def test_hydra_composes_our_parameters(user: Repository) -> None:
    user.write(".dvc/config", "[hydra]\n    enabled = True\n")
    user.write("conf/config.yaml", "defaults:\n  - _self_\n")
    user.commit("mine")
    done = user.init("data/plants.csv")
    assert any("`  - assay`" in note for note in done.notes)
    user.write("conf/config.yaml", "defaults:\n  - _self_\n  - assay\n")
    user.commit("the line")
    user.dvc("exp", "run", *(word.format("") for word in FEW))
    assert user.metrics["n"] == 2
