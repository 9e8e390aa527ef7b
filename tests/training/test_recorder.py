"""The recorder beside a training: what it takes down is what went through the network, and no weight moves for it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from miniature import DIGITS, Make, Project

from assay.core import net_record
from assay.core.net_record import AFTER, MOMENTS, MOST_BYTES, NetRecord, PredictionTrack
from assay.core.schemas import FOREGROUND
from assay.recorder import input_pictures, lane_recorder, target_labels
from assay.recorder.prediction_tracking import moments
from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.assemble_measurement import Watch
from assay.replicates.replicate_cache import ReplicateCache
from assay.stages import train_recorder
from assay.training import train_and_predict, training_loop

RECORDER = train_recorder.MODULES["records"]
HARD = (
    DIGITS.read_text()
    .replace("nn.ReLU()", "nn.BatchNorm1d(width), Counting(), nn.ReLU()")
    .replace("dropout: float = 0.0", "dropout: float = 0.2")
    + '''

class Counting(nn.Module):
    """Keeps count of its passes outside of parameters and buffers, draws in evaluation mode, too, and uses both."""

    def __init__(self):
        super().__init__()
        self.passes = 0

    def forward(self, inputs):
        self.passes += 1
        noise = 0.0 if self.training else 0.01 * torch.randn(())
        return inputs + 0.001 * self.passes + noise


def augment(inputs, targets, generator):
    return inputs + 0.1 * torch.randn_like(inputs), targets
'''
)
FUSABLE = HARD.replace("noise = 0.0 if self.training else 0.01 * torch.randn(())", "noise = 0.0").replace(
    "self.passes += 1", "pass"
)


def trained(project: Project, out: str, recorder: str, numbers: Sequence[int] = (0, 1), **more: Any) -> ReplicateCache:
    asked = project.request(list(numbers), out, **{"cache": str(project.root / f"cache-{out}"), **more})
    settings, kept = assemble_measurement.requested(asked, project.root), list[ReplicateCache]()
    watch = Watch(lambda: None, list, recorder=recorder, done=kept.append)
    train_and_predict.trained(asked, project.root, settings, samples.read(asked, settings), watch)
    return kept[0]


def record(store: ReplicateCache, number: int = 0) -> NetRecord:
    return net_record.decoded(store.recorded(number), "here")


def compared(project: Project, numbers: Sequence[int] = (0, 1), **more: Any) -> NetRecord:
    """The record; weights, predictions and curves are those of a training without a recorder, bit for bit."""
    store = trained(project, "with", RECORDER, numbers, **more)
    trained(project, "without", "", numbers, **more)
    for number in numbers:
        assert project.weights(number, "with") == project.weights(number, "without")
    assert np.array_equal(project.predictions("with"), project.predictions("without"), equal_nan=True)
    curves = [(project.root / out / "curves.csv").read_bytes() for out in ("with", "without")]
    assert curves[0] == curves[1]
    assert len(store.recorded(numbers[0])) <= MOST_BYTES and not any(store.recorded(one) for one in numbers[1:])
    return record(store, numbers[0])


@pytest.mark.parametrize(("execution", "source"), [("sequential", HARD), ("fused", FUSABLE)])
def test_no_bit_moves_and_the_last_predictions_are_those_that_are_kept(make: Make, execution: str, source: str) -> None:
    project = make(source, train={"epochs": 3, "ema_decay": 0.9})
    found = compared(project, execution=execution)
    assert not found.why and not found.notes
    track = found.predictions
    assert isinstance(track, PredictionTrack) and track.epochs == [0, 1, 2, 3] and len(track.ids) == 32
    rows = [place * 60 // 32 for place in range(32)]
    assert track.ids == [f"{1000 + row:032x}" for row in rows], "validation examples, evenly spaced"
    if source == FUSABLE:  # the other one draws in evaluation mode
        kept = project.predictions("with")[0, rows]
        assert track.classes[-1] == kept.argmax(1).tolist()
        assert np.allclose(np.array(track.confidences[-1], float), kept.max(1), atol=2e-3)
    assert track.classes[0] != track.classes[-1]
    assert found.training != msgspec.UNSET and found.validation != msgspec.UNSET
    assert found.first_layer != msgspec.UNSET and found.first_layer.kind == "Linear"
    assert all(one.moved is not None and one.moved > 0 for one in found.first_layer.pictures)


def test_examples_are_those_of_the_batch_after_augmentation_and_mixing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held against what the loop gave its engine in the first step."""
    given: list[Any] = []
    step = training_loop.Training._step

    def noted(self: Any, inputs: Any, targets: Any, lr: float) -> Any:
        given.append((inputs.clone(), targets.clone()))
        return step(self, inputs, targets, lr)

    monkeypatch.setattr(training_loop.Training, "_step", noted)
    drawn: list[Any] = []
    batch = input_pictures.batch
    monkeypatch.setattr(input_pictures, "batch", lambda rows, *rest: (drawn.append(rows), batch(rows, *rest))[1])
    project = make(
        HARD,
        examples=40,
        train={"epochs": 2, "batch_size": 10, "mixup": 0.4},
        loss={"name": "cross_entropy"},
    )
    found = record(trained(project, "out", RECORDER, [0]))
    expected = torch.cat([given[0][0][0], given[1][0][0]])[:16]
    assert torch.equal(torch.stack(drawn[0]), expected), "two batches of ten give sixteen"
    assert found.training != msgspec.UNSET and found.training.where == "training mode, epoch 1, step 1"
    assert any("%" in one.label for one in found.training.examples), "shares of mixed classes"
    values = expected.numpy()
    low, high = found.training.channels[0]
    assert low == pytest.approx(float(values.min()), rel=1e-3) and high == pytest.approx(float(values.max()), rel=1e-3)
    assert found.validation != msgspec.UNSET and found.validation.channels == [(0.0, 1.0)]


def test_processes_and_settings_that_train_together(make: Make) -> None:
    """A worker's record comes back with its replicate."""
    found = compared(make(), [0, 1, 2], execution="processes")
    assert not found.why and found.replicate == 0


def test_a_resumed_training_says_so_and_a_recorded_group_is_not_recorded_again(make: Make) -> None:
    project = make()
    store = trained(project, "out", RECORDER, [0])
    first = store.recorded(0)
    again = trained(project, "out", RECORDER, [0, 1])
    assert again.recorded(0) == first and not again.recorded(1)
    plain = make()
    trained(plain, "out", "", [0])
    later = trained(plain, "out", RECORDER, [0, 1])
    assert not later.recorded(0) and record(later, 1).replicate == 1, "the first that trains has it"


@pytest.mark.parametrize("fails", ["begins", "copies"])
def test_a_fault_of_the_recorder_is_a_sentence_in_its_record(
    make: Make, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    if fails == "begins":
        recorder = "assay.nowhere"
    else:
        recorder = RECORDER
        monkeypatch.setattr(lane_recorder.LaneRecorder, "batch", lambda *_: 1 / 0)
    project = make()
    store = trained(project, "out", recorder, [0])
    assert record(store).why.startswith("the recorder failed: ")
    trained(project, "plain", "", [0])
    assert project.weights(0, "out") == project.weights(0, "plain")


FIT = """
import torch
from torch import nn

def fit(params, data, seed, log):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model.eval()(data.train.inputs[:4].float())
    for step in range(20):
        rows = torch.randint(len(data.train), (32,))
        inputs = data.train.inputs[rows].float() / 16 + 0.01 * torch.randn(32, 8, 8)
        loss = nn.functional.cross_entropy(model.train()(inputs), data.train.targets[rows])
        with torch.no_grad():
            for one, grad in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters()))):
                one -= 0.1 * grad
    return model

def preprocess(inputs):
    return inputs.float()
"""


def test_a_loop_of_the_tasks_own(make: Make) -> None:
    project = make(FIT)
    found = compared(project, [0], execution=FOREGROUND)
    assert not found.why and any("the loop is the task's own" in one for one in found.notes)
    assert found.training != msgspec.UNSET and "Sequential" in found.training.where
    assert len(found.training.examples) == 16 and found.training.shape == "8×8"
    assert {one.label for one in found.training.examples} == {""}, "nobody outside of the loop knows them"
    assert found.validation != msgspec.UNSET and found.validation.examples[0].label
    track = found.predictions
    assert isinstance(track, PredictionTrack) and track.epochs == [AFTER]
    rows = [place * 60 // 32 for place in range(32)]
    assert track.classes[0] == project.predictions("with")[0, rows].argmax(1).tolist()
    assert found.first_layer != msgspec.UNSET and found.first_layer.pictures[0].moved is None


def test_a_function_of_a_loop_has_no_module_to_look_into(make: Make) -> None:
    source = "def fit(params, data, seed, log):\n    return lambda inputs: torch.rand(len(inputs), 10).softmax(1)\n"
    source = f"import torch\n{source}"
    found = compared(make(source), [0])
    assert found.training is msgspec.UNSET and any("no module of torch" in one for one in found.notes)
    assert found.first_layer is msgspec.UNSET and found.predictions != msgspec.UNSET


def test_a_loop_of_the_older_form_says_that_it_has_no_record(make: Make) -> None:
    source = "def fit(params, data, seed):\n    return lambda inputs: inputs.reshape(len(inputs), -1)[:, :10] + 1.0\n"
    found = record(trained(make(source), "out", RECORDER, [0], execution=FOREGROUND))
    assert "of the older form" in found.why and not found.possible


# ------------------------------------------------------------------------------------------------------------- parts


def test_moments_are_spaced_by_their_logarithm() -> None:
    assert moments(1) == [0, 1] and moments(3) == [0, 1, 2, 3]
    many = moments(10_000)
    assert len(many) <= MOMENTS and many[:2] == [0, 1] and many[-1] == 10_000
    steps = [two / one for one, two in itertools.pairwise(many[8:])]
    assert max(steps) < 1.6 and min(steps) > 1.1


def test_labels_of_targets() -> None:
    names = ("cat", "a" * 100, "dog")
    assert target_labels.labels(torch.tensor([2, 0]), names) == ["dog", "cat"]
    assert target_labels.labels(torch.tensor([[0.7, 0.0, 0.3], [0.0, 0.0, 1.0]]), names) == ["70% cat, 30% dog", "dog"]
    assert target_labels.labels(torch.tensor([1]), names)[0].endswith("…")
    assert target_labels.labels(torch.tensor([0.12345]), None) == ["0.1235"]
    assert target_labels.labels(torch.tensor([[0, 2, -1]]), names) == ["cat dog -1"]
    assert target_labels.labels(torch.arange(20.0)[None], None)[0].endswith("7 …")


@pytest.mark.parametrize(
    ("shape", "channels", "size"),
    [
        ((3, 32, 32), 3, [32, 32]),
        ((32, 32, 3), 3, [32, 32]),
        ((12, 16, 16), 12, [67, 16]),
        ((1, 28, 28), 1, [28, 28]),
        ((3, 5, 5), 3, [5, 5]),
        ((3, 512, 384), 3, None),
        ((3, 1, 4000), 0, None),
        ((7,), 0, None),
        ((), 0, None),
    ],
)
def test_pictures_of_any_shape_have_room(shape: tuple[int, ...], channels: int, size: list[int] | None) -> None:
    """Noise does not compress: the worst there is."""
    rows = list(torch.randn(16, *shape, generator=torch.Generator().manual_seed(1)))
    found = input_pictures.batch(rows, [""] * 16, "here")
    pictures = [one.display.picture for one in found.examples if one.display.picture is not msgspec.UNSET]
    assert len(pictures) == (16 if channels else 0) and len(found.channels) == channels
    assert sum(map(len, pictures)) <= input_pictures.MOST_PICTURES
    if size is not None:
        assert found.examples[0].display.size == size
    assert len(msgspec.json.encode(found)) < 100_000


def test_what_is_no_plain_picture() -> None:
    gone = torch.tensor([[float("nan"), 1.0, 2.0, 3.0]] * 4)
    found = input_pictures.batch([gone, torch.ones(4, 4)], ["", ""], "here")
    assert found.examples[0].unlike == 4 and found.channels == [(1.0, 3.0)]
    tokens = {"input_ids": torch.arange(5), "attention_mask": torch.ones(5, dtype=torch.bool)}
    row = input_pictures.batch([tokens], ["a"], "here").examples[0].display.row
    assert row != msgspec.UNSET and row[0] == ["input_ids", "0 1 2 3 4"]
    pixels = {"pixel_values": torch.rand(3, 8, 8)}
    assert input_pictures.batch([pixels], ["a"], "here").examples[0].display.picture
    assert input_pictures.batch([torch.zeros(2, 2, dtype=torch.complex64)], [""], "here").dtype == "complex64"
    assert input_pictures.batch([torch.rand(3, 8, 8).bfloat16()], [""], "here").examples[0].display.picture


def test_a_record_that_would_be_too_large_leaves_something_out() -> None:
    names = {str(number): "n" * 60 for number in range(4_000)}
    track = PredictionTrack(ids=["a"], epochs=[0], targets=["n"], labels=[0], names=names)
    content = net_record.within_limit(NetRecord(predictions=track))
    assert len(content) <= MOST_BYTES and b"predictions through training are left out" in content


def test_the_first_record_that_a_group_has_is_the_output() -> None:
    beside = train_recorder.TrainRecorder(SimpleNamespace())  # type: ignore[arg-type]
    store: Any = SimpleNamespace(recorded=lambda number: b'{"schema":1,"replicate":5}' if number == 5 else b"")
    assert train_recorder.decoded(beside.found).why == train_recorder.NOTHING
    beside.done(store, [4, 5])
    assert train_recorder.decoded(beside.found).replicate == 5
    assert train_recorder.decoded(b'{"schema":1,"other":5}').why == train_recorder.DAMAGED
    assert RECORDER not in sys.modules or sys.modules[RECORDER].LaneRecorder is lane_recorder.LaneRecorder
