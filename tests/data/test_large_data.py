"""Examples that are too many for memory: hashes, parts and statistics come piece by piece, and are what they were."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from assay.baseline import trivial_baselines
from assay.data import column_statistics, content_hash, storage
from assay.data.data_card import card
from assay.data.storage import Examples
from assay.data.train_test_split import assign, report
from assay.data.validate_examples import canonical
from assay.runtime import example_ids, npy_files

CHANCE = np.random.default_rng(1)


def arrays() -> list[np.ndarray]:
    return [
        CHANCE.integers(0, 255, (50, 3, 4), dtype=np.uint8),
        CHANCE.normal(size=(7, 5)).astype(">f8"),
        np.asfortranarray(CHANCE.normal(size=(40, 6)).astype(np.float32)),
        CHANCE.normal(size=(9, 8, 2))[:, ::2],
        CHANCE.integers(0, 9, 30),
        np.array(["a", "bcd", ""]),
    ]


def whole(array: np.ndarray) -> str:
    """The hash as it was before it was taken piece by piece; every metric version rests on it."""
    little = np.ascontiguousarray(array)
    little = little.astype(little.dtype.newbyteorder("<"), copy=False)
    header = f"{little.dtype.str}{little.shape}".encode()
    return hashlib.blake2b(header + little.tobytes(), digest_size=16).hexdigest()


def rows(array: np.ndarray) -> list[str]:
    little = np.ascontiguousarray(array)
    little = little.astype(little.dtype.newbyteorder("<"), copy=False)
    header = f"{little.dtype.str}{little.shape[1:]}".encode()
    return [hashlib.blake2b(header + row.tobytes(), digest_size=16).hexdigest() for row in little]


def test_hashes_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_hash, "PIECE", 100)
    for array in arrays():
        assert content_hash.array_digest(array) == whole(array)
        if array.dtype.kind != "U":
            assert example_ids.hex_names(content_hash.row_keys(array)).tolist() == rows(array)


def test_ids_are_what_they_were_and_take_16_bytes(tmp_path: Path) -> None:
    inputs = CHANCE.integers(0, 3, (60, 2), dtype=np.uint8)
    targets = np.arange(60) % 2
    seen: Counter[str] = Counter()
    expected = []
    for one, two in zip(rows(inputs), rows(targets), strict=True):
        key = hashlib.blake2b(f"{one}{two}".encode(), digest_size=16).hexdigest()
        expected.append(f"{key}-{seen[key]}" if seen[key] else key)
        seen[key] += 1
    found = canonical({"inputs": inputs, "targets": targets, "classes": ["a", "b"]}, "test")
    assert found.ids.tolist() == expected and any("-" in name for name in expected)
    storage.write(tmp_path, "all", found)
    assert npy_files.read(tmp_path / "ids.npy").dtype.itemsize == 16
    assert storage.read(tmp_path)[0].ids.tolist() == expected


def test_some_examples_are_kept_whose_repeats_are_not(tmp_path: Path) -> None:
    """As `assay check` takes a few: their ids have room for a number that none of them has."""
    inputs = np.array([[0], [0], [1], [2]], dtype=np.uint8)
    all_of_them = canonical({"inputs": inputs, "targets": np.array([0, 0, 1, 1]), "classes": ["a", "b"]}, "test")
    storage.write(tmp_path, "train", all_of_them.take(np.array([0, 2, 3])))
    assert storage.read(tmp_path)[0].ids.tolist() == all_of_them.ids[[0, 2, 3]].tolist()


def test_ids_of_another_form_stay_as_they_are() -> None:
    for ids in (
        np.array(["a", "b"]),
        np.array(["0" * 32 + "-5", "0" * 32]),
        np.array(["é" * 32]),
        np.array(["G" * 32]),
    ):
        assert example_ids.unpacked(example_ids.packed(ids)).tolist() == ids.tolist()


def test_ids_are_read_in_16_bytes_and_as_earlier_versions_wrote_them(tmp_path: Path) -> None:
    ids = np.array(["0f" * 15 + "00", "0f" * 15 + "00-1"])
    for kept in (example_ids.packed(ids), ids):
        np.save(tmp_path / "ids.npy", kept)
        assert example_ids.read(tmp_path / "ids.npy").tolist() == ids.tolist()
    np.save(tmp_path / "ids.npy", np.array([b"\xff\x00\xfe"]))
    assert example_ids.read(tmp_path / "ids.npy").tolist() != ids.tolist(), "nobody's id, and no error"


def test_ids_of_drawn_splits_take_16_bytes_too() -> None:
    """(R, N): a replicate has examples of its own, a repeat of them counts in its row, "" stands behind fewer."""
    one, two = "0f" * 15 + "00", "1f" * 16
    ids = np.array([[one, f"{one}-1", two], [two, one, ""]])
    kept = example_ids.packed(ids)
    assert kept.dtype.itemsize == 16 and kept.shape == (2, 3) and example_ids.unpacked(kept).tolist() == ids.tolist()
    for other in ([[f"{one}-1", two]], [["a", one]], [["", ""]], [["0" * 32, one]]):
        assert example_ids.unpacked(example_ids.packed(np.array(other))).tolist() == other


def test_floors_keep_ids_in_16_bytes(tmp_path: Path) -> None:
    ids = np.array(["0f" * 16, "1f" * 16])
    trivial_baselines.write(tmp_path, ids, {"prior": np.zeros((2, 2), np.float32)}, {})
    assert npy_files.read(tmp_path / "ids.npy").dtype.itemsize == 16
    assert example_ids.read(tmp_path / "ids.npy").tolist() == ids.tolist()


def test_statistics_of_pieces_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_hash, "PIECE", 300)
    array = CHANCE.normal(1e6, 1.0, size=(201, 3, 2)).astype(np.float32)
    chosen = np.arange(0, 201, 2)
    for found, part in (
        (column_statistics.statistics(array), array),
        (column_statistics.statistics(array, chosen), array[chosen]),
    ):
        flat = part.reshape(len(part), -1).astype(np.float64)
        np.testing.assert_allclose(found.mean, flat.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.spread, flat.std(axis=0), rtol=1e-9)
        np.testing.assert_allclose(found.overall(), (flat.mean(), flat.std()), rtol=1e-9)
        assert found.low.tolist() == flat.min(axis=0).tolist() and found.high.tolist() == flat.max(axis=0).tolist()


def one_by_one(examples: Examples, validation: float, test: float) -> list[str]:
    """Parts as they were assigned before: unit by unit."""
    names = rows(examples.inputs)
    if examples.groups is not None:
        lead = {f"group {name}": f"group {name}" for name in examples.groups}
        while True:
            before = dict(lead)
            for key in set(names):
                shared = [lead[f"group {g}"] for g, name in zip(examples.groups, names, strict=True) if name == key]
                least = min(shared, key=number)
                lead = {one: least if led in shared else led for one, led in lead.items()}
            if lead == before:
                break
        names = [lead[f"group {name}"] for name in examples.groups]
    units: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        units.setdefault(name, []).append(row)
    strata: dict[int, list[tuple[float, list[int]]]] = {}
    for name, members in units.items():
        counts = Counter(int(target) for target in examples.targets[members])
        stratum = min(counts, key=lambda label: (-counts[label], label)) if examples.classes else 0
        strata.setdefault(stratum, []).append((number(name), members))
    parts, fence = ["train"] * len(examples), test + validation / 2
    for listed in strata.values():
        size, filled = sum(len(members) for _, members in listed), 0
        for value, members in sorted(listed, key=lambda one: one[0]):
            middle = (filled + len(members) / 2) / size
            filled += len(members)
            tested = middle < test and value < fence
            part = "test" if tested else "validation" if middle < test + validation or value < fence else "train"
            for row in members:
                parts[row] = part
    return parts


def number(unit: str) -> float:
    digest = hashlib.blake2b(f"assay split 1{unit}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("classes", [False, True])
def test_every_example_keeps_its_part(grouped: bool, classes: bool) -> None:
    """However the parts are computed: where one moved, numbers of before could not be compared."""
    chance = np.random.default_rng(3)
    raw = {"inputs": chance.integers(0, 12, (400, 2)), "targets": chance.integers(0, 3, 400)}
    raw |= {"classes": ["a", "b", "c"]} if classes else {}
    raw |= {"groups": chance.integers(0, 300, 400)} if grouped else {}
    if grouped:
        raw["inputs"][:300] += 100 * np.arange(300)[:, None]
    examples = canonical(raw, "test")
    assert assign(examples, 0.2, 0.1).tolist() == one_by_one(examples, 0.2, 0.1)


def test_parts_are_copied_without_being_in_memory(tmp_path: Path) -> None:
    """40 MB of examples: prepared, described, split and written within a fraction of that."""
    inputs = np.zeros((10_000, 4_000), dtype=np.uint8)
    inputs[:, :8] = np.arange(10_000, dtype=">u8")[:, None].view(np.uint8)
    examples = canonical({"inputs": inputs, "targets": np.arange(10_000) % 2, "classes": ["a", "b"]}, "test")
    storage.write(tmp_path / "all", "all", examples)
    del inputs, examples
    tracemalloc.start()
    everything, _ = storage.read(tmp_path / "all")
    described = card(everything)
    keys = content_hash.row_keys(everything.inputs)
    where = assign(everything, 0.2, 0.1, keys)
    told = report(everything, where, keys)
    manifest = storage.write(tmp_path / "train", "train", everything, where == "train")
    part, _ = storage.read(tmp_path / "train")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.8 * everything.inputs.nbytes  # 30 MB a piece and its copies; all of it in double precision were 320
    assert described["examples"] == 10_000 and described["exact_duplicates"] == 0
    assert told["sizes"]["train"] == len(part) == manifest.examples
    chosen = everything.take(where == "train")
    assert np.array_equal(part.inputs, chosen.inputs) and np.array_equal(part.ids, chosen.ids)
    assert manifest.content == storage.content_digest(chosen)


def test_numbers_as_targets_have_no_labels_to_count() -> None:
    values = CHANCE.normal(size=(60, 2)).astype(np.float32)
    everything = canonical({"inputs": values, "targets": (values[:, 0] * 9).astype(np.float32)}, "task.py")
    keys = storage.input_keys(everything)
    told = report(everything, assign(everything, 0.2, 0.1, keys), keys)
    assert told["labels"] == {} and sum(told["sizes"].values()) == 60
