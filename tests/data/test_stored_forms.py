"""Inputs that are no array: tables, texts, files, Datasets and unequal arrays, stored once in an Arrow file a part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch.utils.data import Dataset

from assay.core.errors import UsageError
from assay.data import arrow_hash, arrow_rows, storage
from assay.data.data_card import card
from assay.data.train_test_split import assign, report
from assay.data.validate_examples import canonical

COUNT = 60


def frame() -> pd.DataFrame:
    chance = np.random.default_rng(0)
    found = pd.DataFrame({"age": chance.normal(40, 9, COUNT), "city": chance.choice(["Rom", "Ulm"], COUNT)})
    found["visits"] = np.arange(COUNT)
    found.loc[3, "age"], found.loc[5, "city"] = None, None
    found["sick"] = chance.choice(["no", "yes"], COUNT)
    found["clinic"] = np.arange(COUNT) // 2
    return found


def pictures(folder: Path) -> list[Path]:
    paths = [folder / f"{number}.bin" for number in range(COUNT)]
    for number, path in enumerate(paths):
        path.write_bytes(f"picture {number}".encode())
    return paths


class Pairs(Dataset):
    """A map-style Dataset of equal or unequal tensors."""

    classes = ("even", "odd")

    def __init__(self, unequal: bool = False, random: bool = False) -> None:
        self.unequal, self.random = unequal, random

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        length = 2 + row % 3 if self.unequal else 3
        made = torch.rand(length) if self.random else torch.full((length,), float(row))
        return made, row % 2


LABELS = ["no", "yes"] * (COUNT // 2)


def returned(form: str, folder: Path) -> object:
    return {
        "frame": lambda: {"inputs": frame(), "targets": "sick", "groups": "clinic"},
        "arrow": lambda: {"inputs": pa.Table.from_pandas(frame()), "targets": "sick", "groups": "clinic"},
        "bare": lambda: frame().rename(columns={"sick": "target", "clinic": "group"}),
        "texts": lambda: {"inputs": [f"text {number} é" for number in range(COUNT)], "targets": LABELS},
        "files": lambda: {"inputs": pictures(folder), "targets": LABELS, "decode": {"size": 3}},
        "unequal": lambda: {"inputs": [np.arange(2 + row % 4) + row for row in range(COUNT)], "targets": LABELS},
        "dataset": lambda: Pairs(),
        "unequal dataset": lambda: Pairs(unequal=True),
    }[form]()


FORMS = ["frame", "arrow", "bare", "texts", "files", "unequal", "dataset", "unequal dataset"]


@pytest.mark.parametrize("form", FORMS)
def test_stored_split_and_read_again(form: str, tmp_path: Path) -> None:
    found = canonical(returned(form, tmp_path), "test", tmp_path / "all")
    assert found.classes == (("even", "odd") if "dataset" in form else ("no", "yes"))
    whole = storage.write(tmp_path / "all", "all", found)
    everything, _ = storage.read(tmp_path / "all")
    described = card(everything)
    keys = storage.input_keys(everything)
    where = assign(everything, 0.2, 0.2, keys)
    told = report(everything, where, keys)
    assert sum(told["sizes"].values()) == COUNT and described["examples"] == COUNT
    assert sum(count["inputs"] for count in told["overlap"].values()) == 0
    for part in ("train", "validation", "test"):
        manifest = storage.write(tmp_path / part, part, everything, where == part)
        again, _ = storage.read(tmp_path / part)
        assert again.decode == found.decode
        assert manifest.content == storage.content_digest(everything.take(where == part)) != whole.content
        rows = np.flatnonzero(where == part)
        assert again.ids.tolist() == everything.ids[rows].tolist()
        for mine, row in zip(again.inputs, rows.tolist(), strict=True):
            np.testing.assert_equal(mine, everything.inputs[row])
    stored = {path.name for path in (tmp_path / "train").iterdir()}
    assert ("inputs.npy" in stored) == (form == "dataset") and ("inputs.arrow" in stored) == (form != "dataset")


def test_hashes_are_of_values_and_not_of_how_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither batches nor pandas, Arrow, categories, order of columns nor single precision change an id or a digest."""
    plain = canonical(returned("frame", tmp_path), "test", tmp_path / "a")
    other = frame()[["clinic", "sick", "visits", "city", "age"]].astype({"city": "category", "visits": "int16"})
    same = canonical(
        {"inputs": pa.Table.from_pandas(other), "targets": "sick", "groups": "clinic"}, "t", tmp_path / "b"
    )
    assert plain.ids.tolist() == same.ids.tolist()
    before = storage.content_digest(plain)
    monkeypatch.setattr(arrow_rows, "ROWS", 7)
    assert storage.content_digest(canonical(returned("frame", tmp_path), "test", tmp_path / "c")) == before
    assert storage.content_digest(plain) == before
    moved = frame()
    moved.loc[0, "visits"] = 1000
    changed = canonical({"inputs": moved, "targets": "sick", "groups": "clinic"}, "test", tmp_path / "d")
    assert (plain.ids != changed.ids).tolist() == [True] + [False] * (COUNT - 1)


def test_the_card_keeps_columns_and_gaps(tmp_path: Path) -> None:
    described = card(canonical(returned("frame", tmp_path), "test", tmp_path / "a"))
    assert list(described["inputs"]["columns"]) == ["age", "city", "visits"]
    assert described["inputs"]["columns"]["age"]["missing"] == 1 and described["missing_nan_inf"] == 2
    assert described["inputs"]["columns"]["visits"]["mean"] == pytest.approx((COUNT - 1) / 2)


def test_a_file_is_what_it_holds_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = canonical({"inputs": pictures(tmp_path), "targets": LABELS}, "test", tmp_path / "a")
    two = canonical({"inputs": pictures(tmp_path / "other"), "targets": LABELS}, "test", tmp_path / "b")
    assert storage.content_digest(one) == storage.content_digest(two)
    assert one.inputs[3].path.endswith("/3.bin") and one.inputs[3].open().read() == b"picture 3"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: {"inputs": table, "targets": "ill"}, "no column 'ill' for targets; allowed: age, city, visits"),
        (lambda table: {"inputs": table, "targets": "city"}, r"row 5 has no value in 'city'.*\(1 such of 60\)"),
        (lambda table: {"inputs": table.assign(x=[float("inf")] * COUNT), "targets": "sick"}, "column 'x' of row 0 is"),
        (lambda table: {"inputs": table.assign(x=[[1]] * COUNT), "targets": "sick"}, "column 'x' holds list"),
        (lambda table: {"inputs": table.assign(x=["a", 1] * 30), "targets": "sick"}, "column 'x' is of no single type"),
        (lambda table: {"inputs": table[["sick"]], "targets": "sick"}, "no columns but the targets"),
        (lambda _: {"inputs": ["a", 3], "targets": LABELS[:2]}, "the input of example 1 is 3; allowed: text"),
        (lambda _: {"inputs": [Path("no such file")], "targets": ["no"]}, r"no such file is no file \(1 such of 1\)"),
        (lambda _: Pairs(random=True), "draws by chance"),
        (lambda _: {"inputs": ["a"] * 3, "targets": list("abc"), "classes": ["a", "b"]}, "label of example 2 is 'c'"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_row(change: object, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        canonical(change(frame()), "test", tmp_path / "a")  # type: ignore[operator]


def test_a_part_without_the_repeats_of_the_whole(tmp_path: Path) -> None:
    """Ids are wider where a repeat has a number; a part that holds none is read as it was written."""
    inputs = np.array([[1.0], [1.0], [2.0], [3.0], [4.0]])
    found = canonical({"inputs": inputs, "targets": [0, 0, 1, 0, 1], "classes": ["a", "b"]}, "here")
    assert found.ids[1].endswith("-1")
    for rows in ([0, 1, 2], [2, 3, 4], [1, 3]):
        storage.write(tmp_path / "part", "validation", found, np.array(rows))
        read, _ = storage.read(tmp_path / "part")
        assert read.ids.tolist() == found.ids[rows].tolist()


def test_whole_numbers_that_a_table_of_targets_cannot_hold_are_refused() -> None:
    """Several targets lie in one table of float64, which has not all whole numbers beyond 2**53."""
    numbers = np.array([1, 2**53 + 1])
    with pytest.raises(UsageError, match=r"targets\['id'\] has numbers beyond 9007199254740992"):
        canonical({"inputs": np.eye(2), "targets": {"id": numbers, "size": np.zeros(2)}}, "here")


def test_the_card_counts_together_what_it_does_not_name(tmp_path: Path) -> None:
    inputs = [np.ones(length) * length for length in (3, *range(3, 28))]
    found = canonical({"inputs": inputs, "targets": np.arange(26) % 2, "classes": ["a", "b"]}, "here", tmp_path / "a")
    (shapes,) = (one["shapes"] for one in card(found).values() if isinstance(one, dict) and "shapes" in one)
    assert len(shapes) == 21 and shapes["others"] == 5 and sum(shapes.values()) == 26


@pytest.mark.parametrize("grouped", [True, False])
def test_a_table_alone_names_its_target_and_groups_by_their_columns(grouped: bool, tmp_path: Path) -> None:
    table = pd.DataFrame({"size": [1.0, 2.0, 3.0], "target": [0.5, 1.5, 2.5], "group": ["a", "a", "b"]})
    found = canonical(table if grouped else table.drop(columns="group"), "here", tmp_path / "a")
    assert found.targets.tolist() == [0.5, 1.5, 2.5]
    assert found.groups is None if not grouped else found.groups[0] == found.groups[1] != found.groups[2]


def test_another_letter_is_other_content(tmp_path: Path) -> None:
    """Of the same length, in a text or in a column; where a text ends counts, too."""

    def content(inputs: object, name: str) -> str:
        return storage.content_digest(canonical({"inputs": inputs, "targets": [0.5, 1.5]}, "t", tmp_path / name))

    texts = (["once", "upon"], ["once", "upom"], ["onceu", "pon"])
    assert len({content(one, f"t{number}") for number, one in enumerate(texts)}) == 3
    assert len({content(pd.DataFrame({"word": one}), f"c{number}") for number, one in enumerate(texts)}) == 3
    hashes = [arrow_hash.ColumnHash() for _ in texts]  # the ids of examples tell it, too; the column must by itself
    for one, column in zip(hashes, texts, strict=True):
        one.update(pa.array(column, pa.large_string()))
    assert len({one.hexdigest() for one in hashes}) == 3


@pytest.mark.parametrize("row", [0, 7])
def test_an_item_that_fails_is_named_by_its_row(row: int, tmp_path: Path) -> None:
    """Also where only a package's code is at work: no line of the task is in what it raises."""

    class Broken(Pairs):
        def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
            if place == row:
                raise OSError("cannot identify image file")
            return super().__getitem__(place)

    said = rf"task.py: item {row} of {COUNT} of the dataset failed at test_stored_forms.py:\d+: OSError: cannot"
    with pytest.raises(UsageError, match=said):
        canonical(Broken(), "task.py", tmp_path)


class WithoutTarget(Pairs):
    """Item 3 has lost its target."""

    def __getitem__(self, row: int) -> object:
        item = super().__getitem__(row)
        return (item[0], None) if row == 3 else item


def test_an_item_without_a_target_is_named_and_counted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"item 3 of the dataset is no pair of input and target \(1 such of \d+\)"):
        canonical(WithoutTarget(), "task.py", tmp_path)
