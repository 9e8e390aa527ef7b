"""`assay data`: what was planted among real digits, a table, texts and masks is found, and named."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from assay.cli import root as command_line
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.data import arrow_rows, arrow_sources, content_hash, storage
from assay.data.storage import Examples
from assay.data_trust import (
    column_drift,
    cross_fitted,
    example_vectors,
    label_errors,
    near_duplicates,
    object_sizes,
    outlying_examples,
    suspected_labels,
)
from assay.data_trust.example_vectors import NoVectorsError
from assay.data_trust.examples_of_all_parts import PartedExamples
from assay.replicates.train_and_eval_examples import sample
from assay.runtime import example_ids

PARTS = ("train", "validation", "test")
DIGITS = tuple("0123456789")
Array = NDArray[Any]


def examples(inputs: Any, targets: Array, classes: tuple[str, ...] | None = DIGITS, **more: Any) -> Examples:
    keys = content_hash.row_keys(inputs) if isinstance(inputs, np.ndarray) else inputs.keys()
    return Examples(example_ids.from_keys(keys), inputs, targets, classes=classes, **more)


def parted(inputs: Array, targets: Array, where: Array, classes: tuple[str, ...] | None = DIGITS) -> PartedExamples:
    return PartedExamples({name: examples(inputs[where == name], targets[where == name], classes) for name in PARTS})


@pytest.fixture(scope="module")
def digits() -> tuple[PartedExamples, set[tuple[str, str]]]:
    """Digits with 50 wrong labels in train and validation, and 20 noisy copies of training examples in validation."""
    found, rng = load_digits(), np.random.default_rng(0)
    inputs, targets = found.data.astype(np.float32), found.target.astype(np.int64)
    where = np.repeat(["train", "validation", "test"], [1200, 300, 297])
    inputs = np.concatenate([inputs, inputs[:20] + rng.normal(0, 0.3, (20, 64)).astype(np.float32)])
    targets, where = np.concatenate([targets, targets[:20]]), np.concatenate([where, ["validation"] * 20])
    wrong = rng.choice(1500, 50, replace=False)
    targets[wrong] = (targets[wrong] + rng.integers(1, 10, 50)) % 10
    made = parted(inputs, targets, where)
    names = {name: np.flatnonzero(where == name).tolist() for name in PARTS}
    ids = {(str(where[row]), str(made.parts[str(where[row])].ids[names[str(where[row])].index(row)])) for row in wrong}
    return made, ids


def test_wrong_labels_of_digits(digits: tuple[PartedExamples, set[tuple[str, str]]]) -> None:
    made, wrong = digits
    space = example_vectors.fitted(made)
    model = cross_fitted.fitted(made, space, suspected_labels.JUDGED)
    suspects, sources = suspected_labels.find(made, space, ProjectPaths(Path("/nowhere")), "confident")
    named = [made.place(int(row)) for row in suspects.rows]
    hits = [one in wrong for one in named]
    assert sum(hits) >= 33 and np.mean(hits) > 0.9, "most of 50, and few others"
    assert all(hits[:25]), "the first are the surest"
    assert suspects.examined == 1520 and 0.9 < suspects.agreement < 0.97 and len(sources) == 1
    chances = np.concatenate([model.probabilities(made, piece) for piece in made.pieces(["train"])])
    assert np.allclose(chances.sum(axis=1), 1)


def test_no_model_saw_what_it_predicts(digits: tuple[PartedExamples, set[tuple[str, str]]]) -> None:
    """Labels that say nothing are predicted by chance alone, and copies share a fold."""
    made, _ = digits
    rng = np.random.default_rng(1)
    noise = {name: examples(part.inputs, rng.integers(0, 10, len(part))) for name, part in made.parts.items()}
    random = PartedExamples(noise)
    suspects, _ = suspected_labels.find(
        random, example_vectors.fitted(random), ProjectPaths(Path("/nowhere")), "confident"
    )
    assert suspects.agreement < 0.14
    twice = np.repeat(made.parts["train"].inputs[:50], 2, axis=0)
    one = PartedExamples({"train": examples(twice, np.zeros(100, np.int64))})
    assert (cross_fitted.folds(one)[::2] == cross_fitted.folds(one)[1::2]).all()
    groups = np.array([f"person {row // 10}" for row in range(100)])
    grouped = PartedExamples(
        {"train": examples(made.parts["train"].inputs[:100], np.zeros(100, np.int64), groups=groups)}
    )
    assert all(len(set(cross_fitted.folds(grouped)[at : at + 10].tolist())) == 1 for at in range(0, 100, 10))


def test_the_rule_by_hand() -> None:
    """Thresholds are 0.7 and 0.5: the third is confidently the other class, the fourth is sure of nothing."""
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.5, 0.5]])
    labels, pieces = (
        np.array([0, 0, 0, 1]),
        list(PartedExamples({"train": examples(chances, np.zeros(4))}).pieces(["train"])),
    )
    limits = label_errors.thresholds(pieces, lambda piece: labels[piece.within], lambda piece: chances[piece.within])
    assert np.allclose(limits, [0.7, 0.5])
    found = label_errors.suspected(pieces, lambda one: labels[one.within], lambda one: chances[one.within], limits)
    assert found.rows.tolist() == [2] and found.suggested.tolist() == [1] and np.allclose(found.margins, -0.2)
    assert np.isclose(found.agreement, 0.5) and found.counts(2).tolist() == [[0, 1], [0, 0]]


@pytest.mark.extra
def test_cleanlab_agrees(digits: tuple[PartedExamples, set[tuple[str, str]]]) -> None:
    """cleanlab's filter of the same name, on the same probabilities."""
    pytest.importorskip("cleanlab")
    made, wrong = digits
    space, layout = example_vectors.fitted(made), ProjectPaths(Path("/nowhere"))
    ours, theirs = (suspected_labels.find(made, space, layout, rule)[0] for rule in ("confident", "cleanlab"))
    both = set(ours.rows.tolist()) & set(theirs.rows.tolist())
    assert len(both) >= 0.95 * max(len(ours.rows), len(theirs.rows))
    named = [made.place(int(row)) in wrong for row in theirs.rows]
    assert np.mean(named) > 0.9
    probabilities = suspected_labels.LabelSource(("train",), lambda piece: np.zeros((len(piece.rows), 200_000)), "")
    many = PartedExamples({"train": examples(np.zeros((1000, 1)), np.zeros(1000), tuple(map(str, range(200_000))))})
    with pytest.raises(UsageError, match="cleanlab needs 763 MiB"):
        suspected_labels._by_cleanlab(many, probabilities)


def test_near_copies_of_digits(digits: tuple[PartedExamples, set[tuple[str, str]]]) -> None:
    made, _ = digits
    found = near_duplicates.find(made, example_vectors.fitted(made))
    assert near_duplicates.across(found, made) == {"validation-train": 20, "test-train": 0, "test-validation": 0}
    assert near_duplicates.within(found, made) == 0 and not found.cut and (np.diff(found.distances) >= 0).all()


def test_near_copies_hide_in_no_crowd() -> None:
    """Fifty copies of one example in train, and one in test: neighbours of neighbours are not all."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((3_000, 40)).astype(np.float32)
    inputs[:50] = inputs[0] + 0.01 * rng.standard_normal((50, 40)).astype(np.float32)
    inputs[2_900] = inputs[0] + 0.01 * rng.standard_normal(40).astype(np.float32)
    where = np.repeat(PARTS, [2_000, 800, 200])
    made = parted(inputs, np.zeros(3_000, np.int64), where)
    found = near_duplicates.find(made, example_vectors.fitted(made))
    assert near_duplicates.across(found, made)["test-train"] == 1 and near_duplicates.within(found, made) == 49
    few = parted(inputs[:, :4], np.zeros(3_000, np.int64), where)
    with pytest.raises(NoVectorsError, match="inputs have 4 numbers that vary"):
        near_duplicates.find(few, example_vectors.fitted(few))


def test_large_pictures_and_other_large_arrays() -> None:
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.uniform(0, 255, (60, 8, 8, 3)), np.ones((1, 8, 8, 1)))
    pictures = np.clip(smooth + rng.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)
    pictures[50] = np.clip(pictures[3].astype(int) + rng.integers(-9, 9, pictures[3].shape), 0, 255).astype(np.uint8)
    where, labels = np.repeat(PARTS, [40, 15, 5]), np.zeros(60, np.int64)
    wide = rng.standard_normal((60, 5_000)).astype(np.float32)
    wide[50] = wide[3] + 0.02 * rng.standard_normal(5_000).astype(np.float32)
    for inputs, form in (
        (pictures, "small pictures"),
        (pictures.transpose(0, 3, 1, 2), "small pictures"),
        (wide, "sums"),
    ):
        made = parted(np.ascontiguousarray(inputs), labels, where)
        space = example_vectors.fitted(made)
        assert space.form.startswith(form) and len(space.mean) <= 512
        found = near_duplicates.find(made, space)
        assert near_duplicates.across(found, made)["validation-train"] == 1


def test_texts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [" ".join(f"word{number}" for number in rng.integers(0, 500, 20)) for _ in range(200)]
    words[150] = words[3].replace(words[3].split()[5], "other")
    words[7] = "x" * 40_000
    parts = {"train": words[:140], "validation": words[140:180], "test": words[180:]}
    made = PartedExamples(
        {
            name: examples(arrow_sources.texts(some, tmp_path / name), np.zeros(len(some), np.int64), ("a", "b"))
            for name, some in parts.items()
        }
    )
    space = example_vectors.fitted(made)
    assert near_duplicates.across(near_duplicates.find(made, space), made)["validation-train"] == 1
    sizes = outlying_examples.sizes(made)
    assert sizes is not None and sizes[1] == "characters" and sizes[0][7] == 40_000
    _, farthest = outlying_examples.find(made, space, *sizes, 3)
    assert (farthest[0].row, farthest[0].what, farthest[0].value) == (7, "size in characters", 40_000)


def table(rng: np.random.Generator, rows: int, path: Path, age: float = 0.0, red: float = 0.5) -> arrow_rows.ArrowRows:
    made = pa.table(
        {
            "age": rng.normal(40 + age, 10, rows),
            "height": rng.normal(170, 8, rows),
            "colour": np.where(rng.uniform(size=rows) < red, "red", "blue"),
        }
    )
    return arrow_sources.table(made, [], path, "data.py")


def test_drift_and_outliers_have_names_of_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stored = {
        "train": table(rng, 2_000, tmp_path / "a"),
        "validation": table(rng, 500, tmp_path / "b", age=5),
        "test": table(rng, 300, tmp_path / "c", red=0.9),
    }
    made = PartedExamples({n: examples(t, rng.integers(0, 2, len(t)), ("no", "yes")) for n, t in stored.items()})
    found = [(one.column, one.part, one.kind) for one in column_drift.shifts(made)]
    assert set(found) == {("age", "validation", "mean"), ("colour", "test", "shares")}
    assert list(column_drift.ranges(made)) == ["age", "height"]
    tall = stored["train"].table.set_column(1, "height", pa.array([999.0, *rng.normal(170, 8, 1_999)]))
    odd = arrow_sources.table(tall, [], tmp_path / "d", "data.py")
    made = PartedExamples({**made.parts, "train": examples(odd, np.zeros(2_000, np.int64), ("no", "yes"))})
    count, farthest = outlying_examples.find(made, example_vectors.fitted(made), None, "", 5)
    assert count == 1 and farthest[0].what == "height" and farthest[0].value == pytest.approx(999)
    counts = column_drift.balance(made)
    assert counts["no"]["train"] == 2_000 and counts["yes"]["train"] == 0


def test_objects_in_masks() -> None:
    masks = np.zeros((6, 64, 64), np.int64)
    masks[:, 4:8, 4:8], masks[:, 20:40, 20:40], masks[:, 60, 60] = 1, 1, 2
    where = np.repeat(PARTS, 2)
    found = object_sizes.find(parted(np.arange(6.0)[:, None], masks, where, ("ground", "house", "dog")))
    house = found["house"]["train"]
    assert (house.objects, house.smallest, house.largest, house.small) == (4, 16, 400, 0.0)
    assert found["dog"]["test"].small == 1.0 and "ground" not in found


def test_a_stratified_sample_is_nested_and_keeps_shares() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [900, 90, 5])
    some = examples(rng.standard_normal((995, 3)), labels, ("a", "b", "c"))
    inside: set[str] = set()
    for share in (0.01, 0.1, 0.2, 0.7):
        chosen = sample(some, share, stratify=True)
        counts = np.bincount(chosen.targets.astype(int), minlength=3).tolist()
        assert counts == [max(1, round(share * n)) for n in (900, 90, 5)]
        assert inside <= set(chosen.ids.tolist())
        inside = set(chosen.ids.tolist())
    assert sample(some, 1.0, stratify=True) is some
    values = examples(rng.standard_normal((1_000, 2)), rng.exponential(1.0, 1_000), None)
    few, more = (sample(values, share, stratify=True) for share in (0.05, 0.3))
    assert set(few.ids.tolist()) <= set(more.ids.tolist()) and len(few) == 50
    assert abs(few.targets.mean() - values.targets.mean()) < abs(sample(values, 0.05).targets.mean() - 1) + 0.15
    with pytest.raises(UsageError, match=r"train\.stratify needs a class or a value"):
        sample(examples(rng.standard_normal((9, 2)), np.zeros((9, 4), np.int64)), 0.5, stratify=True)


@pytest.fixture
def project(
    tmp_path: Path, digits: tuple[PartedExamples, set[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> Path:
    root = tmp_path / "project"
    subprocess.run(["git", "init", "-q", root], check=True)
    for name, text in {"dvc.yaml": "stages: {}\n", "params.yaml": "lr: 0.1\nreplicates: 2\nseed: 1\n"}.items():
        (root / name).write_text(text, encoding="utf-8")
    quiet = ["git", "-C", root, "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*quiet, "commit", "-q", "--allow-empty", "-m", "Start"], check=True)
    for name, part in digits[0].parts.items():
        storage.write(ProjectPaths(root).part(name), name, part)
    monkeypatch.chdir(root)
    return root


def test_the_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["data", "--most", "3"]) == 0
    said = capsys.readouterr().out
    assert "examples: 1,200 train, 320 validation, 297 test" in said
    assert "near duplicates across parts: 20 of validation in train" in said and "give such examples one group" in said
    assert "more likely" in said and "not looked at: labels of the test part: it stays sealed" in said
    assert command_line.run(["data", "--json", "--most", "100"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["part"] for one in found["suspects"]} == {"train", "validation"} and len(found["near_pairs"]) == 20
    assert not any(path.name.startswith("assay") for path in project.rglob(".dvc/*")), "it reads alone"


def test_the_last_runs_predictions_judge_validation(
    project: Path, digits: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    part = digits[0].parts["validation"]
    folder = ProjectPaths(project).predictions("candidate")
    folder.mkdir(parents=True)
    sure = np.full((2, len(part), 10), 0.01)
    truth = part.targets.copy()
    truth[4] = (truth[4] + 1) % 10  # the only one that the run does not see as it is labelled
    sure[:, np.arange(len(part)), truth] = 0.91
    np.save(folder / "ids.npy", part.ids)
    np.save(folder / "predictions.npy", sure)
    assert command_line.run(["data", "--json", "--most", "100"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert any("mean of 2 replicates of the last run" in source for source in found["sources"])
    judged = [one["id"] for one in found["suspects"] if one["part"] == "validation"]
    assert judged == [str(part.ids[4])]


def test_without_parts(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data/split/test/manifest.json").unlink()
    assert command_line.run(["data"]) == 2
    assert "there is no data/split/test; next: dvc repro split" in capsys.readouterr().err


def test_a_long_tail_on_one_side_is_no_outlier() -> None:
    """Half of a dark pixel's values are near 0: by one spread for both sides each bright one would be far."""
    rng = np.random.default_rng(3)
    dark = np.where(rng.random(2000) < 0.55, rng.random(2000), 16 * rng.random(2000))
    assert (outlying_examples.robust(dark, dark) < outlying_examples.FAR).all()
    assert outlying_examples.robust(np.array([400.0, -60.0]), dark).min() >= outlying_examples.FAR
