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


ROWS = "".join(f"{row % 7},{'ab'[row % 2]}\n" for row in range(30))
UNFIT = {
    "empty": ("x.csv", b"", "", "x.csv has no rows; allowed: a header and 10 rows or more"),
    "header": ("x.csv", b"x,y\n", "", "x.csv has 0 rows; allowed: a header and 10 rows or more"),
    "narrow": ("x.csv", b"x\n" * 30, "", "x.csv has a single column 'x'; allowed: two columns or more"),
    "nameless": ("x.csv", b"1,2\n" * 30, "", "the first row of x.csv holds numbers; allowed: names of its columns"),
    "twice": ("x.csv", f"x,x\n{ROWS}".encode(), "", "x.csv has two columns 'x'; allowed: a name for each"),
    "latin": (
        "x.csv",
        f"x,label\n{ROWS}1,é\n".encode("latin-1"),
        "",
        "x.csv, row 32 is not UTF-8; next: iconv -f lat",
    ),
    "wide": ("x.csv", f"x,label\n{ROWS}".encode("utf-16"), "", "row 1 is not UTF-8; next: iconv -f utf-16"),
    "unlabelled": ("x.csv", b"x,label\n" + b"1,\n" * 30, "", "column 'label', the label, is empty in all 30 rows"),
    "one class": ("x.csv", b"x,label\n" + b"1,a\n" * 30, "", "column 'label', the label, is 'a' in all 30 rows"),
    "no text": ("x.csv", f"x,label\n{ROWS}".encode(), "text", "x.csv has no column of texts; allowed: text, sentence"),
    "no number": (
        "x.csv",
        b"x,price\n" + b"1,2.5\n" * 30 + b"1,n/a\n",
        "regression",
        "x.csv, row 32: 'n/a' in the col",
    ),
    "no number behind rows that are skipped": (
        "x.csv",
        b'x,price\n\n1\n"a\nb",1\n' + b"1,2.5\n" * 30 + b"1,n/a\n",
        "regression",
        "x.csv, row 36: 'n/a' in the col",
    ),
    "short": ("x.txt", b"hello", "", "x.txt has 5 bytes; allowed: 2,000 or more"),
}


@pytest.mark.parametrize(("name", "content", "template", "said"), UNFIT.values(), ids=UNFIT)
def test_why_a_file_that_was_named_is_not_taken(
    user: Repository, name: str, content: bytes, template: str, said: str
) -> None:
    user.write(name, content)
    with pytest.raises(UsageError) as caught:
        user.init(name, template=template)
    assert said in caught.value.sentence


def test_a_single_class(user: Repository) -> None:
    user.write("photos/cats/1.jpg", b"not looked at")
    with pytest.raises(
        UsageError, match="photos has a single folder of images, cats; allowed: a folder for each class"
    ):
        user.init("photos")


def test_a_column_without_choice_is_no_label(user: Repository) -> None:
    user.write("x.csv", "size,kind,source\n" + "".join(f"{row % 7},{'ab'[row % 2]},me\n" for row in range(30)))
    assert (
        "label 'kind' (2 classes) in the last column that varies (another one: data.target" in user.init("x.csv").took
    )


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
    with pytest.raises(UsageError, match=r"broken\.parquet is no Parquet file; next: write it again as Parquet"):
        user.init("broken.parquet")
    done = user.init("bugs.parquet")
    assert done.template == "table" and "a table of 40 rows, label 'species' (2 classes), 2 columns" in done.took
    assert done.took.endswith("; left out: path (neither numbers nor text)")
    assert params_yaml.load(user.read("params.yaml")).data["drop"] == ["path"]
