"""The doctor before the first step of a training: weights under all three words, errors, faults of its own."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from miniature import DIGITS, Make, Project

from assay.core.errors import UsageError
from assay.core.schemas import Divergence, Replicate
from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.assemble_measurement import Watch
from assay.stages import doctor_before_training, train_doctor
from assay.stages.measure import measured
from assay.stages.train_doctor import TrainDoctor
from assay.training import loop_watch, train_and_predict

SOFTMAX = DIGITS.read_text().replace("nn.Linear(width, outputs))", "nn.Linear(width, outputs), nn.Softmax(-1))")


def doctor(project: Project, word: str) -> TrainDoctor:
    machine, layout = SimpleNamespace(doctor=word), SimpleNamespace(split_report=project.root / "report.json")
    return TrainDoctor(SimpleNamespace(params=SimpleNamespace(machine=machine), layout=layout))  # type: ignore[arg-type]


def trained(project: Project, word: str, out: str, **more: Any) -> TrainDoctor:
    asked, beside = project.request([0, 1], out, **more), doctor(project, word)
    settings = assemble_measurement.requested(asked, project.root)
    watch = Watch(lambda: None, list, beside.before, beside.loop_watch, beside.loop_seen, beside.done)
    train_and_predict.trained(asked, project.root, settings, samples.read(asked, settings), watch)
    return beside


@pytest.mark.parametrize("execution", ["sequential", "fused"])
def test_weights_are_the_same_under_all_three_words(make: Make, execution: str) -> None:
    """Of a model with dropout and running statistics, and an augmentation that draws from the global generators."""
    source = DIGITS.read_text().replace("nn.ReLU()", "nn.BatchNorm1d(width), nn.ReLU()") + (
        "\n\ndef augment(inputs, targets, generator):\n    return inputs + 0.1 * torch.randn_like(inputs), targets\n"
    )
    project = make(source)
    records = [trained(project, word, word, execution=execution).record for word in ("warn", "error", "off")]
    for number in (0, 1):
        assert len({project.weights(number, word) for word in ("warn", "error", "off")}) == 1
    assert records[0] == records[1] and records[2] is None
    assert records[0] is not None and not records[0].why and not records[0].failed("error", "warning")


def test_error_ends_the_training_before_its_first_step(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    project = make(SOFTMAX)
    with pytest.raises(UsageError, match="before its first step: error loss-wants-logits at model, loss") as refused:
        trained(project, "error", "out")
    assert refused.value.exit_code == 2 and not (project.root / "out/models").exists()
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("train: doctor: error loss-wants-logits") and said[-1] == "train: next: assay doctor"
    trained(project, "warn", "out")
    assert project.weights(0)


def test_what_was_found_is_kept_with_the_replicates(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where the whole group comes from the cache, which imports no torch; then nothing is looked at again."""
    project, cache = make(SOFTMAX), {}
    cache["cache"] = str(project.root / "cache")
    found = trained(project, "warn", "out", **cache).record
    assert found is not None and found.failed("error")
    capsys.readouterr()
    again = doctor(project, "error")
    measured(project.request([0, 1], **cache), project.root, Watch(lambda: None, list, done=again.done))
    assert again.record == found and "loss-wants-logits" in capsys.readouterr().out
    off = doctor(project, "off")
    measured(project.request([0, 1], **cache), project.root, Watch(lambda: None, list, done=off.done))
    assert off.record is None


def test_a_fault_of_the_doctors_own_ends_no_run(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MemoryError("no\nroom")

    monkeypatch.setattr(doctor_before_training, "examined", fails)
    project = make()
    found = trained(project, "error", "out").record
    assert found is not None and found.why == "the doctor failed with MemoryError: no room" and not found.findings
    monkeypatch.setitem(train_doctor.MODULES, "examined", "assay.nowhere")
    found = trained(project, "error", "out").record
    assert found is not None and "ModuleNotFoundError" in found.why and project.weights(0)


def test_a_loop_without_steps_of_torch_shows_nothing(make: Make) -> None:
    project = make(
        "def fit(params, data, seed):\n    return lambda inputs: inputs.reshape(len(inputs), -1)[:, :10] + 1.0\n"
    )
    found = trained(project, "warn", "out").record
    assert found is not None and not found.failed("error", "warning") and found.findings
    assert {one["result"] for one in found.findings} == {"not run"}


def test_a_loop_of_the_tasks_own_is_watched(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """In the process of its first replicate; the weights of both are those of a run without the doctor."""
    source = """
import torch
from torch import nn

class Floats(nn.Module):
    def forward(self, inputs):
        return inputs.float()

def fit(params, data, seed, log):
    torch.manual_seed(seed)
    model = nn.Sequential(Floats(), nn.Flatten(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    inputs, targets = torch.as_tensor(data.train.inputs).float(), torch.as_tensor(data.train.targets)
    for step in range(80):  # nobody clears the gradients
        loss = nn.functional.cross_entropy(model(inputs[step % 4 :: 4]), targets[step % 4 :: 4])
        loss.backward()
        optimizer.step()
    return model
"""
    project = make(source)
    found = trained(project, "warn", "out").record
    assert found is not None and [one["check"] for one in found.failed("error")][:1] == ["gradients-not-cleared"]
    assert "train: next: assay doctor" in capsys.readouterr().out
    trained(project, "off", "plain")
    assert [project.weights(number, "out") for number in (0, 1)] == [project.weights(n, "plain") for n in (0, 1)]


@dataclass
class Finding:
    check: str
    result: str = "fail"
    level: str = "warning"
    reason: str = "seen"
    places: list[str] = field(default_factory=list)


@pytest.mark.parametrize("fails", ["", "begins", "ends", "reports"])
def test_whatever_the_watch_does_wrong_ends_no_run(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    calls = []

    class Watched:
        def __enter__(self) -> None:
            calls.append("begins")
            if fails == "begins":
                raise ValueError

        def __exit__(self, kind: object, *_: object) -> None:
            calls.append(kind)
            if fails == "ends":
                raise ValueError

        @property
        def report(self) -> SimpleNamespace:
            if fails == "reports":
                raise ValueError
            return SimpleNamespace(findings=[Finding("plateau")])

    monkeypatch.setitem(sys.modules, "a_watch", SimpleNamespace(watch=Watched))  # type: ignore[arg-type]
    with loop_watch.watching("a_watch") as found:
        calls.append("loop")
    assert [one["check"] for one in found] == (["plateau"] if fails in ("", "ends") else [])
    assert calls == ["begins", "loop", *([] if fails == "begins" else [None])]
    calls.clear()
    with pytest.raises(KeyError), loop_watch.watching("a_watch"):
        raise KeyError
    assert calls == ["begins", *([] if fails == "begins" else [KeyError])]


def test_replicates_that_diverge_are_among_the_findings(make: Make) -> None:
    beside = doctor(make(), "warn")
    gone = Divergence(epoch=2, step=9, tensor="1.weight")
    replicates = [Replicate(n, n, "fused", False, 1.0, 9, gone if n else None) for n in (0, 1)]
    beside.diverged(replicates)
    assert (
        beside.record is not None and beside.record.failed("error")[0]["measured"] == "epoch 2, step 9 of replicate 1"
    )
    assert beside.record.findings[0]["reason"] == "1 of 2 replicates diverged: 1.weight is not finite"


def test_labels_and_copies_are_those_that_split_counted(make: Make) -> None:
    project = make()
    report = {"sizes": {"train": 200, "validation": 60}, "overlap": {"train-validation": {"inputs": 40}}}
    (project.root / "report.json").write_text(json.dumps({**report, "labels": {"train": {"a": 200, "b": 0}}}))
    found = trained(project, "warn", "out").record
    assert found is not None and [one["check"] for one in found.failed("error")] == ["one-label", "copies-across-parts"]
    assert found.failed("error")[0]["measured"] == "1 label in 200 examples"
    assert found.failed("error")[1]["measured"] == "67 % of 60 validation examples"


def test_few_examples_are_drawn_and_no_optimizer_of_torch_is_made(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    real = doctor_before_training.looked

    def noted(contracts: Any, **given: Any) -> Any:
        drawn.append(len(given["train_loader"].dataset))
        return real(contracts, **given)

    def made(*_: object, **__: object) -> None:
        raise AssertionError("an optimizer of torch")

    monkeypatch.setattr(doctor_before_training, "looked", noted)
    monkeypatch.setattr("torch.optim.Optimizer.__init__", made)
    found = trained(make(examples=997), "warn", "out").record
    assert found is not None and not found.why and drawn == [doctor_before_training.EXAMPLES]
