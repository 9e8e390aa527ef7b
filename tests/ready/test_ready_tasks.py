"""Ready tasks on small data: what prepare() makes of it, what it refuses, and that twenty epochs learn something."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from assay.core.errors import UsageError
from assay.data import storage
from assay.data.storage import Examples
from assay.data.validate_examples import canonical
from assay.ready import masks, table, text, tokens
from assay.training import initial_weights
from support.broken_images import size_only_png

Image = pytest.importorskip("PIL.Image")


def transformed(task: ModuleType, part: Examples, rows: slice = slice(None)) -> torch.Tensor:
    """All inputs, by what the transformer learns of `rows`."""
    stored = storage.arrow(part.inputs)
    assert stored is not None
    given = stored.to_pandas() if stored.form == "table" else list(stored)
    fitted = task.transform().fit(given[rows])
    return torch.from_numpy(fitted.transform(given))


def trained(task: ModuleType, part: Examples, steps: int = 60, **parameters: object) -> tuple[float, float]:
    """Loss before and after some steps on all of it."""
    torch.manual_seed(0)
    given = transformed(task, part) if hasattr(task, "transform") else np.ascontiguousarray(part.inputs)
    inputs, targets = torch.as_tensor(given), torch.from_numpy(part.targets)
    targets = targets if part.classes else targets.float()
    seen = (task.statistics(inputs),) if hasattr(task, "statistics") else ()
    ready = task.preprocess(inputs, *seen)
    outputs = len(part.classes) if part.classes else 1
    network = task.model(tuple(ready.shape[1:]), outputs, **parameters)
    initial_weights.set_target_scale(network, targets, len(part.classes) if part.classes else None)
    rule = torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(steps):
        found = task.loss(network(ready), targets)
        rule.zero_grad()
        found.backward()
        rule.step()
        losses.append(float(found.detach()))
    return losses[0], losses[-1]


def test_tokens_are_windows_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abcab" * 30 + "é", encoding="utf-8")
    raw = tokens.prepare(file=str(tmp_path / "a.txt"), length=10)
    part = canonical(raw, "task.py")
    assert (
        part.classes == ("a", "b", "c", "é") and part.kind == "tokens" and part.notes["order"].tolist() == [*range(15)]
    )
    assert (part.inputs[:, 1:] == part.targets[:, :-1]).all() and part.targets[-1, -1] == 3
    first, last = trained(tokens, part, width=16)
    assert first > 1.0 and last < 0.7 * first
    scores = tokens.score(torch.zeros(2, 3, 4), torch.tensor([[0, 1, -1], [3, -1, -1]]))
    assert torch.allclose(scores, np.log(4) * torch.tensor([[1.0, 1, 0], [1, 0, 0]]))


def test_tokens_that_cannot_be_had_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"one\ntwo\nth\xffree\n" * 9)
    with pytest.raises(UsageError, match=r"text\.txt, row 3: byte 0xff is not UTF-8"):
        tokens.prepare(file=str(text), length=10)
    assert tokens.prepare(file=str(tmp_path), length=10, unit="bytes")["inputs"].shape == (13, 10)
    assert "the last 4 bytes" in capsys.readouterr().out
    for options, said in (
        ({"file": "nowhere.txt"}, "no text is there"),
        ({"file": str(text), "unit": "words"}, "data.unit is 'words'; allowed: characters, bytes"),
        ({"file": str(text), "unit": "bytes", "length": 100}, "1 windows of 100; allowed: at least three"),
    ):
        with pytest.raises(UsageError) as caught:
            tokens.prepare(**options)
        assert said in str(caught.value)


def pairs(folder: Path, count: int = 8) -> None:
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    chance = np.random.default_rng(0)
    for number in range(count):
        mask = np.zeros((20, 16), dtype=np.uint8)
        mask[number : number + 6, 3:9] = 1
        image = (mask[..., None] * 150 + chance.integers(0, 60, (20, 16, 3))).astype(np.uint8)
        Image.fromarray(image).save(folder / f"images/{number}.jpg")
        Image.fromarray(mask).save(folder / f"masks/{number}.png")


def test_masks_go_with_their_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs(tmp_path)
    asked = {"images": str(tmp_path / "images"), "masks": str(tmp_path / "masks"), "classes": ["off", "on"], "size": 16}
    part = canonical(masks.prepare(**asked), "task.py")
    assert part.inputs.shape == (8, 3, 16, 16) and part.targets.shape == (8, 16, 16) and part.targets.max() == 1
    first, last = trained(masks, part, width=8)
    assert last < 0.5 * first
    inputs, targets = torch.from_numpy(part.inputs), torch.from_numpy(part.targets)
    mirrored, with_it = masks.augment(inputs, targets, torch.Generator().manual_seed(0))
    turned = (mirrored != inputs).flatten(1).any(1)
    assert 0 < turned.sum() < 8 and (with_it[turned] == targets[turned].flip(-1)).all()
    unnamed = masks.prepare(**{**asked, "classes": None})
    assert unnamed["classes"] == ["0", "1"] and (unnamed["targets"] == part.targets).all()
    with pytest.raises(UsageError, match=r"different values; allowed: 2 to 64, one for each class; JPEG"):
        masks.prepare(images=asked["masks"], masks=asked["images"])
    (tmp_path / "images/broken.png").write_bytes(b"no image")
    Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / "masks/broken.png")
    (tmp_path / "images/alone.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"2 of 10 pairs of images and masks cannot be used, the first alone: no mask"):
        masks.prepare(**asked)
    assert len(masks.prepare(**asked, unreadable=0.3)["inputs"]) == 8
    assert "2 of 10 pairs are left out" in capsys.readouterr().out
    size_only_png(tmp_path / "masks/alone.png", 60000, 60000)
    shutil.copy(tmp_path / "images/0.jpg", tmp_path / "images/alone.png")
    with pytest.raises(UsageError, match=r"the first alone: (60000 × 60000|Image size)"):
        masks.prepare(**asked)


def rows(count: int = 60) -> list[str]:
    chance = np.random.default_rng(0)
    lines = ["id,age,town,label,value"]
    for row in range(count):
        town, age = ["Bern", "Genf", ""][row % 3], "" if row % 7 == 0 else f"{20 + row % 40}"
        lines.append(f"r{row},{age},{town},{'yes' if row % 3 == 0 else 'no'},{chance.normal():.6f}")
    return lines


def written(folder: Path, lines: list[str], name: str = "table.csv") -> str:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


def test_a_table_of_numbers_categories_and_gaps(tmp_path: Path) -> None:
    file = written(tmp_path, rows())
    part = canonical(table.prepare(file=file, target="label", id="id", drop=["value"]), "task.py", tmp_path / "one")
    assert part.classes == ("no", "yes") and storage.arrow(part.inputs).columns == ["age", "town"]  # type: ignore[union-attr]
    given = transformed(table, part)
    ready = table.preprocess(given, table.statistics(given))
    assert ready.shape == (60, 2 + 3) and torch.isfinite(ready).all()  # a town, or none, beside a number and its gaps
    assert (ready[:, 2:].sum(1) == 1).all() and ready[:, 1].sum() == 9
    first, last = trained(table, part, hidden=16, dropout=0.0)
    assert last < 0.2 * first
    raw = table.prepare(file=file, target="value", drop=["id", "label"])
    values = canonical(raw, "task.py", tmp_path / "two")
    assert values.classes is None and values.targets.dtype == np.float64
    assert trained(table, values, hidden=16)[1] < trained(table, values, hidden=16)[0]


def test_what_training_rows_teach_is_all_that_is_known(tmp_path: Path) -> None:
    """A category and a scale of rows that do not train change nothing of those that do."""
    lines = rows()
    wild = [f"r{row},{10**6},Atlantis,{'yes' if row % 3 == 0 else 'no'},0" for row in range(20)]
    parts = []
    for name, added in (("plain", lines[41:]), ("wild", wild)):
        raw = table.prepare(
            file=written(tmp_path, [*lines[:41], *added], f"{name}.csv"), target="label", drop=["id", "value"]
        )
        given = transformed(table, canonical(raw, "task.py", tmp_path / name), slice(40))
        parts.append(table.preprocess(given, table.statistics(given[:40])))
    assert (parts[0][:40] == parts[1][:40]).all()
    assert (parts[1][40:, 2:] == 0).all()  # a town that nobody knows


def test_an_id_follows_from_a_rows_own_values(tmp_path: Path) -> None:
    """So a new category elsewhere moves no example to another part."""
    found = []
    for name, added in (("one", ""), ("two", "r9,1,Aarau,yes,0")):
        file = written(tmp_path, [*rows(), *([added] * 2 if added else [])], f"{name}.csv")
        part = canonical(table.prepare(file=file, target="label", drop=["id"]), "task.py", tmp_path / name)
        found.append(part.ids[:60])
    assert (found[0] == found[1]).all()


def test_infinity_is_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a column it is a gap, as a label it makes a row that cannot be used; neither is dropped in silence."""
    lines = ["size,price", *(f"{row}.5,{row / 7}" for row in range(200)), "inf,1.5", "3.5,inf"]
    raw = table.prepare(file=written(tmp_path, lines), target="price")
    said = capsys.readouterr().out
    assert len(raw["targets"]) == 201 and "1 of 201 values in column 'size' of" in said and "are infinite, and" in said
    assert "1 of 202 rows of" in said and "column 'price', the label, is not finite, the first row 203" in said


def test_columns_of_every_type(tmp_path: Path) -> None:
    """Whole numbers, true and false, dates, times, numbers that are not finite, nothing at all."""
    arrow = pytest.importorskip("pyarrow")
    from datetime import date, datetime
    from decimal import Decimal

    from pyarrow import parquet

    count = 12
    columns = {
        "whole": list(range(count)),
        "flag": [row % 2 == 0 for row in range(count - 1)] + [None],
        "day": [date(2026, 1, 1 + row) for row in range(count)],
        "moment": [datetime(2026, 1, 1, row) for row in range(count - 1)] + [None],
        "endless": [float("inf"), float("nan"), *map(float, range(count - 2))],
        "price": [Decimal("1.50")] * count,
        "nothing": arrow.nulls(count),
        "label": ["a", "b"] * (count // 2),
    }
    parquet.write_table(arrow.table(columns), tmp_path / "all.parquet")
    raw = table.prepare(file=str(tmp_path / "all.parquet"), target="label")
    given = transformed(table, canonical(raw, "task.py", tmp_path / "all"))
    ready = table.preprocess(given, table.statistics(given))
    assert torch.isfinite(ready).all() and ready[:, 5:10].sum(0).tolist() == [0, 0, 1, 2, 0]
    assert abs(ready[:, 1].mean()) < 1e-6 and ready[:, 1].std() > 0.5  # days


TEXTS = [("warm sun", "good"), ("cold rain", "bad"), ("sun and sea", "good"), ("grey rain", "bad")]


def test_texts_of_a_table_or_of_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["said;verdict", *(f"{said} {row};{name}" for row in range(10) for said, name in TEXTS)]
    file = written(tmp_path, lines)
    raw = text.prepare(file=file, text="said", target="verdict", delimiter=";")
    for row, (said, name) in enumerate(TEXTS * 5):
        (tmp_path / "texts" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / name / f"{row}.txt").write_text(said, encoding="utf-8")
    folder = text.prepare(file=str(tmp_path / "texts"))
    assert raw["classes"] == folder["classes"] == ["bad", "good"] and len(folder["inputs"]) == 20
    part = canonical(raw, "task.py", tmp_path / "stored")
    known = transformed(text, part, slice(2))
    assert known.shape == (40, 3) and known[1].tolist() == transformed(text, part, slice(2))[1].tolist()
    assert (known[2] != text.PADDING).sum() == 3 and (known[2] == text.UNKNOWN).sum() == 2  # "and", "sea"
    first, last = trained(text, part, width=8, dropout=0.0)
    assert last < 0.2 * first
    (tmp_path / "texts/good/latin.txt").write_bytes("Zürich".encode("latin-1"))
    (tmp_path / "texts/bad/none.txt").write_text(" ", encoding="utf-8")
    with pytest.raises(UsageError, match=r"none\.txt \(empty\): .*2 such of 22 texts"):
        text.prepare(file=str(tmp_path / "texts"))
    assert len(text.prepare(file=str(tmp_path / "texts"), unusable=0.1)["inputs"]) == 20
    assert "2 of 22 texts" in capsys.readouterr().out
    (tmp_path / "texts/good/elsewhere.txt").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "texts/good/pipe.txt")  # to read it would wait for ever
    text.prepare(file=str(tmp_path / "texts"), unusable=0.2)
    said = capsys.readouterr().out
    assert said.count("links that leave the folder") == 1 and "1 files that are no texts" in said
    with pytest.raises(UsageError, match=r"has no column 'review' \(data.text\); allowed: said, verdict"):
        text.prepare(file=file, text="review", delimiter=";")


@pytest.mark.parametrize(
    ("place", "said"),
    [("texts/good", "set the path under data: in params.yaml to texts,"), (".", "in params.yaml to texts")],
)
def test_a_folder_of_the_wrong_level_is_told(
    place: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("good", "bad"):
        Path("texts", name).mkdir(parents=True)
        Path("texts", name, "1.txt").write_text("a", encoding="utf-8")
    with pytest.raises(UsageError, match="folders of texts") as caught:
        text.prepare(file=place)
    assert said in str(caught.value)


def test_prices_are_learned_as_they_are(tmp_path: Path) -> None:
    """Values of some hundred thousand: sixty steps explain most of their spread, and not a thousandth of their mean."""
    chance = np.random.default_rng(0)
    rooms = chance.integers(1, 7, 80)
    prices = 100_000 * rooms + chance.normal(0, 5_000, 80)
    lines = [f"{room},{price:.0f}" for room, price in zip(rooms, prices, strict=True)]
    file = written(tmp_path, ["rooms,price", *lines])
    part = canonical(table.prepare(file=file, target="price"), "task.py", tmp_path / "stored")
    _, last = trained(table, part, dropout=0.0)
    assert last < 0.1 * np.var(part.targets)


def test_parquet_says_the_same(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import csv, parquet

    file = written(tmp_path, rows())
    known = csv.read_csv(file, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    parquet.write_table(known, tmp_path / "table.parquet")
    assert arrow.__version__
    first, second = (table.prepare(file=str(path), target="label") for path in (file, tmp_path / "table.parquet"))
    assert first["inputs"].equals(second["inputs"]) and (first["targets"] == second["targets"]).all()


def broken(*edits: tuple[int, str]) -> list[str]:
    lines = rows()
    for number, line in edits:
        lines[number] = line
    return lines


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        (
            broken((4, "r3,1,Bern,yes")),
            {},
            "row 5: 4 fields where the header has 5 (1 such of 60 rows); allowed: a share",
        ),
        (broken((4, "r3,1,Bern,,0.5")), {}, "row 5: column 'label', the label, is empty (1 such of 60 rows)"),
        (broken((4, "r3,1,Bern,rare,0.5")), {}, "row 5: class 'rare' has one row alone (1 such of 60 rows)"),
        (broken((4, "r2,1,Bern,yes,0.5")), {"id": "id"}, "row 5: id 'r2' stands in an earlier row, too (1 such"),
        (rows(), {"target": "lable"}, "has no column 'lable' (data.target); allowed: id, age, town, label, value"),
        (
            rows(),
            {"target": "id"},
            "has 60 different values in 60 rows; allowed: classes that repeat; next: it looks like an id",
        ),
        (rows(), {"target": "value", "kind": "classification"}, "set data.kind: regression"),
        (
            rows(),
            {"kind": "regression"},
            "row 2: column 'label', the label, is 'yes' (60 such of 60 rows); allowed: numbers",
        ),
        (
            broken((4, "r3,1,Bern,no,much")),
            {"target": "value", "kind": "regression"},
            "row 5: column 'value', the label, is",
        ),
        (broken((4, "r3,1,Bern,no,much")), {"target": "value"}, "different values in 60 rows; allowed: classes that"),
        (broken((4, ",1,Bern,no,1")), {"id": "id"}, "row 5: column 'id', the id, is empty (1 such of 60 rows)"),
        (rows(), {"group": "town"}, "row 4: column 'town', the group, is empty (20 such of 60 rows)"),
        (rows(), {"order": "age"}, "row 2: column 'age', the order, is empty (9 such of 60 rows)"),
        (rows(), {"order": "id"}, "column 'id', the order, is text; allowed: numbers or dates"),
        (rows(), {"drop": ["twon"]}, "has no column 'twon' (data.drop); allowed: id, age, town, label, value"),
        ([line.replace(",", ";") for line in rows()], {}, 'next: set data.delimiter: ";" in params.yaml'),
        (rows()[:1], {}, "table.csv has no rows that can be used"),
        (["a,label", "1,yes", "2,yes"], {}, "column 'label', the label, is 'yes' in all 2 rows; allowed: two classes"),
        (rows(), {"kind": "both"}, "data.kind is 'both'"),
        (rows(), {"file": "nowhere.csv"}, "there is no file 'nowhere.csv'"),
        ([rows()[0], *(f"r{n},1,Bern,,1" for n in range(9))], {}, "the label, is empty in all 9 rows"),
        (["a,a,label", "1,2,yes"], {}, "has two columns 'a'"),
    ],
)
def test_tables_that_cannot_be_used_are_named(tmp_path: Path, lines: list[str], options: dict, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        table.prepare(**{"file": written(tmp_path, lines), "target": "label", "unusable": 0.0, **options})
    assert said in str(caught.value)


def test_some_bad_rows_are_counted_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = broken((4, "r3,1,Bern,yes"), (9, "r8,1,Bern,,0.5"), (12, "r0,1,Bern,no,0.5"))
    found = table.prepare(file=written(tmp_path, lines), target="label", id="id", unusable=0.1)
    assert len(found["inputs"]) == 57
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and "1 of 60 rows" in said[0] and "the first row 5" in said[0]
    (tmp_path / "latin.csv").write_bytes("town,label\nZürich,yes\nBern,no\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"latin\.csv, row 2: column 'town' is not UTF-8"):
        table.prepare(file=str(tmp_path / "latin.csv"), target="label")


@pytest.mark.parametrize(
    ("before", "line"),
    [("x,y", 8), ("", 8), ('"r\n2",1,Bern,yes,1', 9), ("r2,1,Bern,yes,1", 8)],
    ids=["ragged", "blank", "line break", "plain"],
)
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("r6,1,Bern,,1", "the label, is empty"),
        ("r6,1,Bern,rare,1", "class 'rare' has one row alone"),
        ("r0,1,Bern,no,1", "id 'r0' stands in an earlier row"),
        ("r6,1", "2 fields where the header has 5"),
    ],
)
def test_rows_have_the_numbers_that_an_editor_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, line: int, bad: str, said: str
) -> None:
    """Whatever stands before: a ragged row, a blank line, a value with a line break."""
    file = written(tmp_path, broken((3, before), (7, bad)))
    table.prepare(file=file, target="label", id="id", unusable=0.1)
    last = capsys.readouterr().out
    assert said in last and ((before == "x,y" and bad == "r6,1") or f"row {line}" in last)


def test_an_empty_text_has_its_row_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["text,label", *(f"word {number},{'ab'[number % 2]}" for number in range(20)), "x", '" ",a']
    text.prepare(file=written(tmp_path, lines), unusable=0.2)
    assert "the text, is empty, the first row 23" in capsys.readouterr().out


def test_a_row_of_parquet_counts_from_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    labels = [*"abab", None, *"abab"]
    parquet.write_table(pyarrow.table({"a": range(9), "label": labels}), tmp_path / "t.parquet")
    table.prepare(file=str(tmp_path / "t.parquet"), target="label", unusable=0.2)
    assert "the label, is empty, the first row 5" in capsys.readouterr().out


def test_a_table_in_utf16_is_named(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_bytes("\n".join(rows()).encode("utf-16"))
    with pytest.raises(UsageError, match=r"wide\.csv, row 1: names of columns are not UTF-8"):
        table.prepare(file=str(tmp_path / "wide.csv"), target="label")


def test_times_in_a_table_are_numbers_of_the_training_part(tmp_path: Path) -> None:
    """Standardised seconds; a gap is the mean, and says that it is one."""
    days = [f"2026-01-{1 + number % 28:02}" for number in range(40)]
    rows = "\n".join(f"{day if number else ''},{'ab'[number % 2]}" for number, day in enumerate(days))
    (tmp_path / "t.csv").write_text(f"day,label\n{rows}\n", encoding="utf-8")
    part = canonical(table.prepare(file=str(tmp_path / "t.csv"), target="label"), "task.py", tmp_path / "stored")
    cells = transformed(table, part, slice(0, 30))[:, 0]
    numbers = torch.tensor([float(day[-2:]) for day in days])
    mean, spread = numbers[1:30].mean(), numbers[1:30].std(correction=0)
    assert torch.allclose(cells[1:, 0], (numbers[1:] - mean) / spread, atol=1e-4)
    assert cells[0].tolist() == [0, table.MISSING] and (cells[1:, 1] == table.NUMBER).all()
