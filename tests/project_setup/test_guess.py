"""What `assay init` takes for data: masks, a text, a label by its place, and the folder that was meant."""

from __future__ import annotations

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from assay.core import params_yaml
from assay.core.errors import UsageError
from project_setup.conftest import Repository


def test_images_with_masks(user: Repository) -> None:
    for name in ("imgs/1.jpg", "imgs/2.jpg", "masks/1.png", "masks/2.png"):
        user.write(f"cells/{name}", b"not looked at")
    done = user.init("cells")
    assert done.template == "masks" and "2 images (imgs) with a mask of the same name (masks)" in done.took
    found = params_yaml.load(user.read("params.yaml"))
    assert found.data == {"images": "cells/imgs", "masks": "cells/masks", "size": 64} and found.metric.name == "iou"
    assert "      - ${data.images}\n      - ${data.masks}\n" in user.read("dvc.yaml")


def test_one_text_is_for_a_language_model(user: Repository) -> None:
    user.git("rm", "--quiet", "-r", "data")
    user.write("requirements.txt", "torch\n" * 1000)
    user.write("book.txt", "once upon a time\n" * 200)
    user.commit("mine")
    done = user.init()
    assert done.template == "tokens" and done.took.startswith("book.txt: a text of 3,400 bytes")
    assert params_yaml.load(user.read("params.yaml")).data == {"file": "book.txt", "length": 64}


def test_a_text_beside_a_table_is_none(user: Repository) -> None:
    user.write("book.txt", "once upon a time\n" * 200)
    assert user.init(dry_run=True).template == "table"
    assert user.init("book.txt", dry_run=True).template == "tokens"


def test_columns_between_semicolons(user: Repository) -> None:
    user.write("wine.csv", "sugar;acid;label\n" + "1.5;0.2;red\n2.5;0.1;white\n" * 20)
    assert user.init("wine.csv").template == "table"
    assert params_yaml.load(user.read("params.yaml")).data["delimiter"] == ";"


def test_the_folder_of_one_class(user: Repository) -> None:
    for name in ("cats/1.jpg", "dogs/1.jpg"):
        user.write(f"my photos/{name}", b"not looked at")
    with pytest.raises(UsageError, match=r"my photos/cats holds nothing .*; next: assay init 'my photos'$"):
        user.init("my photos/cats")


def test_a_label_that_was_taken_for_its_place_is_said(user: Repository) -> None:
    chance = np.random.default_rng(0)
    kinds = ["few", "some", "many"]
    rows = [f"{row},p{chance.integers(90)},t{row},{kinds[row % 3]}" for row in range(600)]
    user.write("data/plants.csv", "\n".join(["size,place,note,amount", *rows]) + "\n")
    took = user.init(dry_run=True).took
    assert "label 'amount' (3 classes) in the last column (another one: data.target in params.yaml)" in took
    assert "left out: note (another" in took, "a column of many categories is kept"


def test_a_task_that_git_does_not_track(user: Repository) -> None:
    user.write("task.py", "from assay.ready.table import loss, model, prepare, preprocess, statistics, transform\n")
    done = user.init()
    assert done.template == "own" and done.next[0] == "git add task.py && git commit -m 'Add a task' -- task.py"
    user.run("sh", "-c", done.next[0])
    assert not user.status()


def test_what_is_not_installed_comes_first(user: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert user.init(dry_run=True).next[:2] == ["pip install 'dvc-assay[ready]'", "dvc exp run"]


def test_a_parquet_file(user: Repository) -> None:
    """Its columns are guessed as a CSV's are; what no guess can be made of, such as lists, is left to the task."""
    rows = range(40)
    table = pyarrow.table(
        {
            "size": [None if row == 3 else row * 0.5 for row in rows],
            "place": [f"p{row % 4}" for row in rows],
            "path": [[row, row] for row in rows],
            "species": ["ant" if row % 2 else "bee" for row in rows],
        }
    )
    pyarrow.parquet.write_table(table, user.root / "bugs.parquet")
    user.write("broken.parquet", b"PAR1 and nothing else")
    with pytest.raises(UsageError, match=r"broken\.parquet holds nothing that Assay can read"):
        user.init("broken.parquet")
    done = user.init("bugs.parquet")
    assert done.template == "table" and "a table of 40 rows, label 'species' (2 classes), 2 columns" in done.took
    assert done.took.endswith("; left out: path (neither numbers nor text)")
    assert params_yaml.load(user.read("params.yaml")).data["drop"] == ["path"]
