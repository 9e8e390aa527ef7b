"""Which floors mean something on which data, and why others are absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from assay.baseline import trivial_baselines
from assay.core.paths import ProjectPaths
from assay.data.storage import Examples
from assay.data.validate_examples import canonical
from assay.metrics import floor_scores, task_metrics
from assay.metrics.floor_scores import Floors, PredictionForm
from assay.metrics.scored_arm import Ruler
from assay.ready import metrics as ready

CHANCE = np.random.default_rng(5)


def examples(**raw: object) -> Examples:
    return canonical(raw, "data.py")


def of(train: Examples, new: Examples | None = None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    return trivial_baselines.floors(train, new or train), trivial_baselines.absent(train)


def tokens(rows: int = 40, start: int = 0) -> Examples:
    """Token 1 follows token 0 always, tokens 0 and 2 follow 1 equally often."""
    chance = np.random.default_rng(start)
    text = np.zeros((rows, 9), dtype=np.int64)
    for place in range(1, 9):
        text[:, place] = np.where(text[:, place - 1] == 1, chance.choice([0, 2], rows), 1)
    return examples(inputs=text[:, :-1], targets=text[:, 1:], classes=["a", "b", "c"])


def test_tokens_have_unigram_and_bigram_and_no_linear_model() -> None:
    found, absent = of(tokens(400), tokens(100, 1))
    assert set(found) == {"unigram", "bigram"} and "token ids" in absent["linear"]
    new = tokens(100, 1)
    shares = np.bincount(tokens(400).targets.ravel(), minlength=3) / tokens(400).targets.size
    expected = -np.log(shares[new.targets]).mean()
    assert ready.nats_per_token(new.targets, found["unigram"]) == pytest.approx(expected, abs=0.01)
    after_one = (new.inputs == 1).mean()  # half of what follows is a coin, the rest is certain
    assert ready.nats_per_token(new.targets, found["bigram"]) == pytest.approx(after_one * np.log(2), abs=0.05)


def test_padding_costs_nothing_and_a_token_never_seen_something_finite() -> None:
    train, new = tokens(50), tokens(5, 1)
    padded = replace(new, targets=np.where(np.arange(8) > 5, -1, new.targets), classes=("a", "b", "c", "d"))
    padded.targets[0, 0] = 3
    found, _ = of(replace(train, classes=padded.classes), padded)
    for nats in found.values():
        assert np.isfinite(nats).all() and (nats[:, 6:] == 0).all() and nats[0, 0] > 3
    given = examples(inputs=CHANCE.random((9, 4)), targets=tokens(9).targets, classes=["a", "b", "c"], kind="tokens")
    found, absent = of(given)
    assert set(found) == {"unigram"} and "not the token before" in absent["bigram"]


def test_class_of_token_ids_has_no_linear_model() -> None:
    given = examples(inputs=tokens(20).inputs, targets=np.arange(20) % 2, classes=["n", "y"], kind="tokens")
    found, absent = of(given)
    assert set(found) == {"prior"} and "token ids" in absent["linear"]
    assert set(of(replace(given, kind=""))[0]) == {"prior", "linear"}  # columns of a table are whole numbers, too


def test_series_go_on_with_their_last_value() -> None:
    steps = CHANCE.normal(size=(6, 5))
    for inputs, targets, expected in (
        (steps, steps[:, :1] * 0, steps[:, -1:]),
        (steps, steps[:, 0] * 0, steps[:, -1]),
        (steps[..., None], np.zeros((6, 3)), np.repeat(steps[:, -1:], 3, axis=1)),
        (np.stack([steps, -steps], axis=2), np.zeros((6, 2)), np.stack([steps[:, -1], -steps[:, -1]], axis=1)),
        (np.stack([steps, -steps], axis=2), np.zeros((6, 4, 2)), None),
    ):
        found, absent = of(examples(inputs=inputs, targets=targets, kind="series"))
        assert {"mean", "linear", "last value"} == set(found) and not absent
        assert found["last value"].shape == targets.shape
        if expected is not None:
            np.testing.assert_allclose(found["last value"], expected, rtol=1e-6)
    unknown = examples(inputs=np.stack([steps, -steps], axis=2), targets=np.zeros(6), kind="series")
    assert "nothing says which" in of(unknown)[1]["last value"]


def test_masks_have_the_majority_of_each_pixel() -> None:
    masks = np.zeros((5, 2, 3), dtype=np.int64)
    masks[:, 0, 0] = [1, 1, 1, 0, 0]
    found, absent = of(examples(inputs=CHANCE.random((5, 2, 3)), targets=masks, classes=["off", "on"]))
    assert set(found) == {"majority"} and found["majority"].shape == (5, 2, 3)
    assert (found["majority"] == np.eye(3)[0][None] * np.array([[1], [0]])).all() and "(2, 3) entries" in absent[
        "linear"
    ]


def test_images_that_are_too_large_have_no_linear_model() -> None:
    given = examples(inputs=np.zeros((4, 3, 100, 100), np.uint8), targets=np.arange(4) % 2, classes=["n", "y"])
    found, absent = of(given)
    assert set(found) == {"prior"} and "30000 inputs" in absent["linear"]


def scored(folder: Path, decides: str, targets: np.ndarray, wanted: PredictionForm, **more: object) -> Floors:
    """What `evaluate` makes of the floors in a folder."""
    metrics = {decides: task_metrics.read(ready, "ready")[decides]}
    ids = np.array([f"{row:032x}" for row in range(len(targets))])
    ruler = Ruler(metrics, decides, {}, ids, targets)
    layout = ProjectPaths(folder)
    trivial_baselines.write(layout.floors, ids, more.pop("made", {}), {"linear": "too large"})
    return floor_scores.read(layout, ruler, wanted, more.get("second"), more.get("human"))


def test_floors_take_the_form_of_predictions_or_are_left_out(tmp_path: Path) -> None:
    masks = np.array([[[0, 1], [1, 1]]])
    majority = {"majority": np.ones((1, 2, 2), np.float32)}
    for shape in ((1, 2, 2), (1, 2, 2, 2)):  # class numbers, probabilities
        found = scored(tmp_path, "accuracy", masks, PredictionForm(shape, 2, False), made=majority)
        assert found.scores == {"majority": {"accuracy": 0.75}} and found.predictions["majority"].shape == shape
        assert floor_scores.reasons(found.absent) == ["no floor linear: too large"]
    found = scored(tmp_path, "accuracy", masks, PredictionForm((1, 5), 2, False), made=majority)
    assert not found.scores and "shape (2, 2) an example" in found.absent["majority"]
    kept = scored(tmp_path, "accuracy", masks, PredictionForm((1, 2, 2), 2, True), made=majority)
    assert not kept.scores and "score()" in kept.absent["majority"]
    text = {"unigram": np.full((1, 4), 0.5, np.float32)}
    for wanted in (
        PredictionForm((1, 4), 9, True),
        PredictionForm((1, 4, 9), 9, False),
    ):  # the metric takes nats either way
        found = scored(tmp_path, "nats_per_token", np.zeros((1, 4), int), wanted, made=text)
        assert found.scores == {"unigram": {"nats_per_token": 0.5}}


def test_a_second_persons_labels_are_a_floor_under_the_same_metric(tmp_path: Path) -> None:
    targets, second = np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])
    wanted = PredictionForm((4, 2), 2, False)
    found = scored(tmp_path, "macro_f1", targets, wanted, second=second)
    assert found.scores["human"]["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    both = scored(tmp_path, "macro_f1", targets, wanted, second=second, human=0.9)
    assert both.scores["human"] == {"macro_f1": 0.9} and set(both.scores) == {"human", "second labels"}
    graded = scored(tmp_path, "log_loss", targets, wanted, second=second)
    assert not graded.scores and "a person gave labels" in graded.absent["human"]
    values = scored(tmp_path, "mae", targets + 0.5, PredictionForm((4,), None, False), second=targets + 1.5)
    assert values.scores["human"]["mae"] == 1


@pytest.mark.parametrize(("form", "said"), [("table", "a table"), ("texts", "texts"), ("ragged", "arrays of")])
def test_why_there_is_no_linear_floor_is_a_sentence(monkeypatch: pytest.MonkeyPatch, form: str, said: str) -> None:
    monkeypatch.setattr(trivial_baselines, "arrow", lambda inputs: SimpleNamespace(form=form))
    some = Examples(np.array(["a"]), np.zeros((1, 1)), np.zeros(1))
    assert trivial_baselines._no_linear(some).startswith(f"inputs are {said}")
