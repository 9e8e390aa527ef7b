"""What goes wrong while replicates train: another way is taken and named, or one sentence says what to mend."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import Make, Project, digits
from test_fused import plan_of
from zoo import TASK

from assay.core.errors import UsageError
from assay.replicates import assemble_measurement, cache_entries
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.assemble_measurement import Watch
from assay.runtime import parent_watch
from assay.training import autotune_execution, device, memory_estimate, training_loop
from assay.training.autotune_execution import Way
from assay.training.missing_replicates import RequestRun
from assay.training.sequential_engine import Sequential
from assay.training.train_and_predict import trained
from assay.training.vmap import equivalence_check

LATE = (
    TASK
    + """
    class Late(nn.Module):
        # breaks in lanes, or works there by its own count, after more steps than any proof takes
        def __init__(self, outputs, how):
            super().__init__()
            self.out, self.drop, self.how, self.calls = nn.Linear(64, outputs), nn.Dropout(0.2), how, 0
            self.register_buffer("shift", torch.zeros(()))

        def forward(self, x):
            made = self.out(self.drop(x.flatten(1)))
            if self.training:
                self.calls += 1
                after = {"item": 5, "soon": 3}.get(self.how, 10**9)
                if self.calls > after and made.mean().item() > 1e9:
                    made = made * 2
                if self.how == "buffer" and self.calls > 5:
                    self.shift = self.shift + 1.0
                if self.how == "counter" and self.calls > 5:
                    made = made * 3
            return made + self.shift

    NETS |= {how: (lambda outputs, how=how: Late(outputs, how)) for how in ("item", "soon", "buffer", "counter")}
"""
)


class Forgetful:
    """A store that keeps nothing."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def decided(self, *_key: object) -> None: ...

    def decide(self, *_key: object) -> None: ...


def room_for(monkeypatch: pytest.MonkeyPatch, project: Project, replicates: float) -> int:
    """Let as many replicates fit; bytes of one."""
    need = autotune_execution.needed(plan_of(project), 0)
    monkeypatch.setattr(
        memory_estimate, "available", lambda _device: int(need * replicates / memory_estimate.HOST_SHARE) + 1
    )
    return need


def cached(project: Project, numbers: list[int], out: str, **more: object) -> list:
    return list(project.measure(numbers, out, cache=str(project.root / "cache"), **more).replicates)


def test_a_large_model_is_not_tried_in_lanes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never gains from them on a processor, and trying would cost what `auto` is there to save."""

    def tried(*_asked: object) -> None:
        raise AssertionError

    monkeypatch.setattr(equivalence_check, "fused", tried)
    project, store = make(TASK), Forgetful()
    monkeypatch.setattr(autotune_execution.thread_count, "SMALL", 0)
    monkeypatch.setattr(parent_watch, "processors", lambda: 2)
    monkeypatch.setattr(autotune_execution, "_times", lambda _plan, _group, chunks, _room: dict.fromkeys(chunks, 1.0))
    with device.threads(1):  # one after another, but on both processors
        assert autotune_execution.way(plan_of(project), range(4), "auto", store) == Way(1, 2)  # type: ignore[arg-type]
    monkeypatch.setattr(autotune_execution, "_times", tried)
    with device.threads(2):  # keeps both busy by itself: there is nothing to time
        assert autotune_execution.way(plan_of(project), range(4), "auto", store) == Way()  # type: ignore[arg-type]
    assert not store.notes


@pytest.mark.parametrize("how", ["item", "buffer"])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_breaks_in_lanes_later_trains_one_after_another(
    make: Make, monkeypatch: pytest.MonkeyPatch, how: str, workers: int
) -> None:
    project = make(LATE, model={"net": how})
    project.measure([0, 1, 2, 3], "alone")
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: Way(2, workers))
    answer = project.measure([0, 1, 2, 3], "lanes", execution="auto")
    assert not {"fused"} & {one.execution for one in answer.replicates}
    (note,) = answer.texts()
    assert note.startswith("trained one after another, not fused: ") and ("item()" in note or "'shift'" in note)
    assert np.array_equal(project.predictions("alone"), project.predictions("lanes"))


def test_what_breaks_while_it_is_timed_is_not_fused(make: Make) -> None:
    """After the proof, and before the training."""
    project = make(LATE, model={"net": "soon"})
    project.measure([0, 1, 2], "alone")
    answer = project.measure([0, 1, 2], "lanes", execution="auto")
    assert not {"fused"} & {one.execution for one in answer.replicates}
    assert np.array_equal(project.predictions("alone"), project.predictions("lanes"))


def test_a_module_that_counts_its_steps_counts_only_them(make: Make) -> None:
    """Looking for its dropout is no step."""
    project = make(LATE, model={"net": "counter"}, train={"precision": "float64"})
    project.measure([0, 1], "alone")
    answer = project.measure([0, 1], "lanes", execution="fused")
    assert {one.execution for one in answer.replicates} == {"fused"}
    assert np.allclose(project.predictions("alone"), project.predictions("lanes"), atol=1e-9)


@pytest.mark.parametrize("execution", ["auto", "fused"])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no more"), RuntimeError("can't allocate memory")])
def test_lanes_that_do_not_fit_from_the_start(
    make: Make, monkeypatch: pytest.MonkeyPatch, execution: str, error: Exception
) -> None:
    def full(*_asked: object) -> None:
        raise error

    project = make(TASK)
    monkeypatch.setattr(parent_watch, "processors", lambda: 1)
    monkeypatch.setattr(equivalence_check.Fused, "differentiate", full)
    answer = project.measure([0, 1, 2], execution=execution)
    assert {one.execution for one in answer.replicates} == {"sequential"}
    assert answer.texts() == ["trained one after another, not fused: two replicates at a time do not fit into memory"]


def test_one_that_does_not_fit_is_one_sentence(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_asked: object) -> None:
        raise torch.OutOfMemoryError("no more")

    project = make(TASK)
    monkeypatch.setattr(Sequential, "differentiate", full)
    with pytest.raises(UsageError, match=r"one replicate does not fit into the memory of cpu.*train.batch_size"):
        project.measure([0])


@pytest.mark.parametrize("execution", ["sequential", "auto", "processes"])
def test_a_loss_that_fails_is_named_with_its_line(make: Make, execution: str) -> None:
    source = TASK.replace("def loss(outputs, targets):", "def loss(outputs, targets):\n        fail(targets)")
    assert source != TASK
    source += """
    def fail(targets):
        assert len(targets) != 13, "thirteen examples"
"""
    project = make(source, examples=205)  # six batches of 32 and one of 13
    with pytest.raises(UsageError, match=r"learning.py:\d+: AssertionError: thirteen examples; next: fix the task"):
        project.measure([0, 1], execution=execution)


def test_an_optimizer_that_wants_a_closure_is_refused(make: Make) -> None:
    source = """
    def optimizer(parameters, settings):
        return torch.optim.LBFGS(parameters, lr=settings.lr)
    """
    with pytest.raises(UsageError, match=r"optimizer\(\) returns LBFGS, whose step\(\) cannot be called without"):
        make(TASK + source).measure([0])


def test_workers_together_take_no_more_than_there_is(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(TASK, train={"epochs": 100_000})
    room_for(monkeypatch, project, 5.5)
    monkeypatch.setattr(parent_watch, "processors", lambda: 8)
    monkeypatch.setattr(
        autotune_execution,
        "_times",
        lambda plan, group, chunks, room: {one: 0.001 if one == 1 else 0.0002 for one in chunks},
    )
    for execution in ("auto", "processes"):
        with device.threads(1):
            way = autotune_execution.way(plan_of(project), range(10), execution, Forgetful())
        assert way.workers > 1 and way.workers * way.chunk <= 5, execution


def test_a_model_that_keeps_all_processors_busy_gets_no_workers(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(TASK, train={"epochs": 100_000})
    monkeypatch.setattr(parent_watch, "processors", lambda: 2)
    monkeypatch.setattr(autotune_execution, "_times", lambda plan, group, chunks, room: dict.fromkeys(chunks, 0.001))
    for threads, spread in ((1, True), (2, False)):
        with device.threads(threads):
            way = autotune_execution.way(plan_of(project), range(4), "auto", Forgetful())
        assert (way.workers > 1) == spread


def test_a_decision_for_more_memory_than_there_is_now_is_made_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make(TASK)
    cached(project, [0, 1, 2, 3], "first", execution="fused")
    for kept in (project.root / "cache" / "replicates").glob("*/weights"):
        shutil.rmtree(kept.parent)
    room_for(monkeypatch, project, 2.5)
    cached(project, [0, 1, 2, 3], "second", execution="fused")
    logs = [(project.root / out / "train.log").read_text() for out in ("first", "second")]
    assert "train 4 at a time" in logs[0] and "train 2 at a time" in logs[1]


@pytest.mark.parametrize("way", [Way(3), Way(2, 2)], ids=["here", "workers"])
def test_one_that_is_missing_is_trained_as_among_the_others(
    make: Make, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: way)
    project = make(TASK, model={"net": "convolution"})
    project.measure([0, 1, 2], "whole", execution="auto")
    cached(project, [0, 1, 2], "first", execution="auto")
    kept = [path for path in (project.root / "cache").rglob("weights") if b'"number":1' in path.read_bytes()]
    shutil.rmtree(kept[0].parent)
    found = cached(project, [0, 1, 2], "second", execution="auto")
    assert [one.reused for one in found] == [True, False, True]
    assert {one.execution for one in found} == {"fused"}
    for number in range(3):
        assert project.weights(number, "whole") == project.weights(number, "second")
    curves = [(project.root / out / "curves.csv").read_text() for out in ("whole", "second")]
    assert curves[0] == curves[1]


def test_predictions_that_are_not_finite_are_a_matter_of_their_examples(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make(TASK)
    real, calls = training_loop.predict, iter(range(10))

    def second_breaks(plan: training_loop.TrainingPlan, engine: training_loop.Engine) -> list:
        made = real(plan, engine)
        if next(calls) == 1:
            made[0][:] = np.nan
        return made

    monkeypatch.setattr(training_loop, "predict", second_breaks)
    for out in ("first", "from the cache"):
        found = cached(project, [0, 1, 2], out)
        assert [one.diverged and one.diverged.tensor for one in found] == [None, "predictions", None], out
        assert np.isnan(project.predictions(out)).any(axis=(1, 2)).tolist() == [False, True, False]
    project.part("validation", digits(1200, 1290))
    found = cached(project, [0, 1, 2], "other examples")
    assert [one.reused for one in found] == [True] * 3 and not any(one.diverged for one in found)
    assert np.isfinite(project.predictions("other examples")).all()


def test_an_error_of_who_is_told_is_not_one_of_the_lanes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def full(self: RequestRun, outcome: object) -> None:
        calls.append(outcome)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RequestRun, "keep", full)
    with pytest.raises(OSError, match="No space left"):
        make(TASK).measure([0, 1], execution="fused")
    assert len(calls) == 1, "nothing trains again for it"


def test_a_decision_holds_whoever_asks(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun beside the other arm, ended alone: what is left trains as it would have."""
    project = make(TASK)
    monkeypatch.setattr(parent_watch, "processors", lambda: 2)
    monkeypatch.setattr(autotune_execution, "_times", lambda plan, group, chunks, room: dict.fromkeys(chunks, 0.1))
    monkeypatch.setenv(parent_watch.BESIDE, "1")
    cached(project, [0, 1, 2, 3], "first", execution="auto")
    first = (project.root / "first" / "train.log").read_text()
    for kept in (project.root / "cache" / "replicates").glob("*/weights"):
        shutil.rmtree(kept.parent)
    monkeypatch.delenv(parent_watch.BESIDE)
    cached(project, [0, 1, 2, 3], "second", execution="auto")
    second = (project.root / "second" / "train.log").read_text()
    assert first.splitlines()[0] == second.splitlines()[0] and "execution auto: " in first.splitlines()[0]


@pytest.mark.parametrize("numbers", [[0, 1], [0, 1, 2, 3]])
def test_what_a_replicate_imported_unseen_goes_with_it(make: Make, numbers: list[int]) -> None:
    """Into a group that holds a part of those that trained with it, and into one that holds more."""
    project = make(TASK)
    for group, late, expected in (([0, 1, 2], ["src/late.py"], ["src/late.py"]), (numbers, [], ["src/late.py"])):
        asked = project.request(group, cache=str(project.root / "cache"), execution="fused")
        settings = assemble_measurement.requested(asked, project.root)
        sample = samples.read(asked, settings)
        watch = Watch(lambda: None, lambda late=late: late)
        assert trained(asked, project.root, settings, sample, watch)[1] == expected


def test_trouble_with_the_disk_is_not_remembered(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project, real, calls = make(TASK), cache_entries.seal, iter(range(1000))

    def once(path: Path, content: bytes) -> None:
        if path.name == "weights" and next(calls) == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    monkeypatch.setattr(cache_entries, "seal", once)
    cache = str(project.root / "cache")
    notes = [project.measure([0, 1, 2], cache=cache, execution="fused").texts() for _ in range(3)]
    assert ["nothing is kept" in " ".join(one) for one in notes] == [True, False, False]


def test_memory_is_given_back_between_chunks(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What malloc keeps of one chunk may be in other pieces than the next one needs."""
    project = make(TASK)
    room_for(monkeypatch, project, 2.5)
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked, **_more: Way(2))
    events: list[str] = []
    real = training_loop.train
    monkeypatch.setattr(memory_estimate, "release", lambda: events.append("released"))
    monkeypatch.setattr(training_loop, "train", lambda *given: events.append("trained") or real(*given))
    project.measure([0, 1, 2, 3], execution="fused")
    assert events == ["trained", "released", "trained"]
