"""Settings trained together: each run finds its replicates, byte for byte those that it would have trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
import pytest
from miniature import Make, Project, digits
from zoo import TASK

from assay.core.errors import UsageError
from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.assemble_measurement import Watch
from assay.runtime import parent_watch
from assay.training import autotune_execution, candidate_cache_warmup, memory_estimate
from assay.training.grid_cache_warmup import ahead
from assay.training.train_and_predict import measure, trained

RATES = [{"lr": 0.003}, {"lr": 0.01}, {"lr": 0.03, "train.weight_decay": 0.1}]
#: beside the optimizer and the step sizes above, what each of the three settings trains with
TOGETHER = {
    "adamw": ({"optimizer": "adamw", "schedule": "cosine"}, [{}, {}, {}]),
    "clipped alike": ({"optimizer": "adam", "clip": 0.5}, [{}, {}, {}]),
    "momentum": ({"optimizer": "sgd"}, [{"momentum": 0.9}, {"momentum": 0.5}, {"momentum": 0.99}]),
    "some clipped": ({"optimizer": "adamw"}, [{"clip": 0.5}, {"clip": 0.0}, {"clip": 0.01}]),
    "by groups of parameters": (
        {
            "optimizer": "adamw",
            "schedule": "linear",
            "warmup_epochs": 0.5,
            "no_decay": ["biases"],
            "layer_decay": 0.5,
            "l1": 1e-4,
            "accumulate": 2,
            "ema_decay": 0.5,
        },
        [{"clip": 0.5}, {"clip": 0.0}, {"clip": 0.0}],
    ),
    "all differ": (
        {"optimizer": "sgd", "schedule": "cosine"},
        [{"momentum": 0.9, "clip": 0.0}, {"momentum": 0.8, "clip": 0.3}, {"momentum": 0.9, "clip": 2.0}],
    ),
}


def run_ahead(project: Project, changes: list[dict], **more: object) -> int:
    cache = str(project.root / "cache")
    return ahead(project.request([0, 1, 2], "ahead", cache=cache, **more), project.root, changes)


def setting(project: Project, change: dict) -> None:
    fixed = {"train.weight_decay": 0.0, **change}
    train = {key.removeprefix("train."): value for key, value in fixed.items() if key.startswith("train.")}
    project.set(lr=change["lr"], train=train)


@pytest.mark.parametrize("case", TOGETHER)
@pytest.mark.parametrize("room", [9, 5])
def test_each_setting_ends_as_it_would_alone(make: Make, monkeypatch: pytest.MonkeyPatch, case: str, room: int) -> None:
    """To the last bit in float32, dropout included, also where settings are cut by the end of a chunk; and the run
    that asks trains nothing."""
    train, own = TOGETHER[case]
    changes = [
        rate | {f"train.{key}": value for key, value in more.items()} for rate, more in zip(RATES, own, strict=True)
    ]
    project = make(model={"dropout": 0.2}, train={"epochs": 2, "batch_size": 32, **train})
    with monkeypatch.context() as patched:
        patched.setattr(autotune_execution, "way", lambda *_asked, **_how: autotune_execution.Way(chunk=room))
        assert run_ahead(project, changes, execution="fused") == 9
    for number, change in enumerate(changes):
        setting(project, change)
        alone = project.measure([0, 1, 2], f"alone{number}", execution="fused")
        found = project.measure([0, 1, 2], f"found{number}", execution="fused", cache=str(project.root / "cache"))
        assert not any(one.reused for one in alone.replicates) and all(one.reused for one in found.replicates)
        assert {one.execution for one in found.replicates} == {"fused"}
        for replicate in range(3):
            assert project.weights(replicate, f"alone{number}") == project.weights(replicate, f"found{number}")
        assert np.array_equal(project.predictions(f"alone{number}"), project.predictions(f"found{number}"))
        curves = [(project.root / f"{name}{number}" / "curves.csv").read_text() for name in ("alone", "found")]
        assert curves[0] == curves[1]


def test_what_was_imported_unseen_ahead_reaches_the_run(make: Make) -> None:
    project = make()
    cache = str(project.root / "cache")
    asked = project.request([0, 1, 2], "ahead", cache=cache, execution="fused")
    assert ahead(asked, project.root, RATES[:2], lambda: ["src/late.py"]) == 6
    setting(project, RATES[0])
    asked = project.request([0, 1, 2], "run", cache=cache, execution="fused")
    settings = assemble_measurement.requested(asked, project.root)
    answer, unproven = trained(asked, project.root, settings, samples.read(asked, settings))
    assert all(one.reused for one in answer.replicates) and unproven == ["src/late.py"]


def test_only_what_no_cache_holds_and_what_is_alike_trains(make: Make) -> None:
    project = make()
    cache = str(project.root / "cache")
    setting(project, RATES[0])
    project.measure([0, 1], cache=cache, execution="fused")
    assert run_ahead(project, [*RATES, {"lr": 0.01, "model.hidden": 16}], execution="fused") == 1 + 3 + 3
    assert run_ahead(project, RATES, execution="fused") == 0
    assert run_ahead(project, [{"lr": 0.5}], execution="fused") == 0, "a single setting is its own run's business"


def test_lanes_with_and_without_momentum_keep_different_things(make: Make) -> None:
    """So each kind trains among its own."""
    project = make(train={"epochs": 1, "batch_size": 32, "optimizer": "sgd"})
    changes = [{"train.momentum": momentum} for momentum in (0.0, 0.5, 0.9)]
    assert run_ahead(project, changes, execution="fused") == 6, "the one without is its own run's business"
    assert run_ahead(project, [{"lr": 0.02}, *changes], execution="fused") == 6, "now there are two without"


def test_what_is_not_fused_is_left_to_the_runs(make: Make) -> None:
    project = make()
    assert run_ahead(project, RATES, execution="sequential") == 0
    looped = make(
        """
        import numpy as np

        def fit(params, data, seed):
            return lambda inputs: np.full((len(inputs), 10), 0.1, dtype=np.float32)
        """
    )
    assert run_ahead(looped, RATES, execution="fused") == 0


def test_a_setting_that_diverges_leaves_the_others_alone(make: Make) -> None:
    project = make(train={"epochs": 2, "batch_size": 32, "optimizer": "sgd"})
    changes = [{"lr": 0.01}, {"lr": 1e30}]
    assert run_ahead(project, changes, execution="fused") == 6
    cache = str(project.root / "cache")
    project.set(lr=0.01)
    calm = project.measure([0, 1, 2], "calm", execution="fused", cache=cache)
    project.measure([0, 1, 2], "alone", execution="fused")
    assert all(one.reused and one.diverged is None for one in calm.replicates)
    assert [project.weights(n, "calm") for n in range(3)] == [project.weights(n, "alone") for n in range(3)]


class Beside:
    """A candidate trained beside a baseline; `began` once that started."""

    def __init__(self, project: Project, **more: object) -> None:
        self.project, self.began = project, False
        fixed = {"cache": str(project.root / "cache"), "execution": "auto", **more}
        self.asked = project.request([0, 1, 2], "candidate", **fixed)
        self.settings = assemble_measurement.requested(self.asked, project.root)
        self.sample = samples.read(self.asked, self.settings)

    def train(self, ready: Callable[[], None] = lambda: None) -> bool:
        watch = Watch(ready, lambda: ["src/late.py"])
        begin = partial(setattr, self, "began", True)
        root = self.project.root
        candidate_cache_warmup.train(self.asked, root, self.settings, self.sample, root / "scratch", watch, begin)
        return self.began

    def kept(self) -> assemble_measurement.CachedReplicates | None:
        return assemble_measurement.at_hand(self.asked, self.settings, self.sample)


def found(monkeypatch: pytest.MonkeyPatch, way: autotune_execution.Way) -> None:
    """`auto` finds `way`, whatever this machine is doing."""
    monkeypatch.setattr(autotune_execution, "way", lambda *_asked: way)


@pytest.mark.parametrize("chunk", [1, 3])
def test_what_trained_beside_is_what_would_have_trained(
    make: Make, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    project = make(model={"dropout": 0.2})
    found(monkeypatch, autotune_execution.Way(chunk=chunk))
    one = Beside(project)
    assert one.train()
    kept = one.kept()
    assert kept is not None and kept.told.unproven == ["src/late.py"] and kept.told.peak_memory > 0
    answer = assemble_measurement.write_kept(one.asked, one.settings, one.sample, kept)
    afresh = project.measure([0, 1, 2], "afresh", execution="auto")
    assert all(each.reused for each in answer.replicates) and not any(each.reused for each in afresh.replicates)
    for number in range(3):
        assert project.weights(number, "candidate") == project.weights(number, "afresh")
    assert np.array_equal(project.predictions("candidate"), project.predictions("afresh"))
    curves = [(project.root / name / "curves.csv").read_text() for name in ("candidate", "afresh")]
    assert curves[0] == curves[1]
    assert any("train loss" in line for line in (project.root / "candidate/train.log").read_text().splitlines())


def test_what_a_training_told_outlives_new_examples(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predicting them trains nothing, and has nothing to tell of the training."""
    found(monkeypatch, autotune_execution.Way(chunk=3))
    one = Beside(make())
    assert one.train()
    one.project.part("validation", digits(1060, 1120))
    other = Beside(one.project)
    assert other.kept() is None
    _, unproven = trained(other.asked, one.project.root, other.settings, other.sample, Watch(lambda: None, list))
    kept = other.kept()
    assert unproven == ["src/late.py"] and kept is not None and kept.told.unproven == unproven
    assert any("train loss" in line for line in kept.told.log)


def test_why_nothing_was_fused_is_told_once_wherever_it_trained(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the baseline, in the group that asks for it, in a part of that group, and in a larger one."""
    monkeypatch.setattr(parent_watch, "processors", lambda: 1)
    one = Beside(make(TASK, model={"net": "library"}))
    monkeypatch.setattr(parent_watch, "share", lambda: 1)
    assert one.train()
    kept = one.kept()
    assert kept is not None
    (note,) = assemble_measurement.write_kept(one.asked, one.settings, one.sample, kept).texts()
    assert note.startswith("trained one after another, not fused: GRU 'rnn'")
    cache = str(one.project.root / "cache")
    for asked in ([1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]):
        answer = one.project.measure(asked, "later", execution="auto", cache=cache)
        assert answer.texts() == [note], f"replicates {asked}"
        assert (one.project.root / "later/train.log").read_text().count(note) == 1
    for weights in (one.project.root / "cache").rglob("weights"):
        weights.unlink()
    assert one.project.measure([1], "again", execution="auto", cache=cache).texts() == []
    assert one.project.measure([1], "again", execution="auto", cache=cache).texts() == [], "one needs no other way"


def test_an_answer_without_torch_is_the_answer(make: Make) -> None:
    """Bytes of a group that the cache has as a whole; a part of it, or a damaged entry, is no answer."""
    project = make()
    one = Beside(project, execution="sequential")
    measure(one.asked, project.root)
    bare = [(path, path.read_bytes()) for path in sorted((project.root / "candidate").rglob("*.*")) if path.is_file()]
    kept = one.kept()
    assert kept is not None
    assemble_measurement.write_kept(one.asked, one.settings, one.sample, kept)
    again = {path: path.read_bytes() for path, _ in bare}
    same = {path.name for path, content in bare if again[path] == content}
    assert same >= {"0.safetensors", "1.safetensors", "2.safetensors", "predictions.npy", "ids.npy", "curves.csv"}
    part = msgspec.structs.replace(one.asked, replicates=[0, 1])
    assert assemble_measurement.at_hand(part, one.settings, one.sample) is None, (
        "nothing was told of these two as a group"
    )
    damaged = next(path for path in (project.root / "cache").rglob("weights"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert one.kept() is None


@pytest.mark.parametrize(
    ("way", "free"),
    [(autotune_execution.Way(chunk=3, workers=2), 2**33), (autotune_execution.Way(chunk=1), 2**10)],
    ids=["worth processes of its own", "no memory"],
)
def test_what_would_cost_the_baseline_is_left(
    make: Make, monkeypatch: pytest.MonkeyPatch, way: autotune_execution.Way, free: int
) -> None:
    one = Beside(make())
    found(monkeypatch, way)
    monkeypatch.setattr(parent_watch, "share", lambda: 1)
    monkeypatch.setattr(memory_estimate, "available", lambda device: free)
    assert not one.train() and one.kept() is None


def test_a_way_that_was_asked_for_and_a_loop_of_the_tasks_own_are_left(make: Make) -> None:
    assert not Beside(make(), execution="fused").train()
    looped = "def fit(params, data, seed):\n    raise RuntimeError('nobody may call this')\n"
    assert not Beside(make(looped)).train()


def test_sources_that_changed_meanwhile_train_nothing(make: Make) -> None:
    def changed() -> None:
        raise UsageError("sources were edited")

    one = Beside(make())
    with pytest.raises(UsageError, match="edited"):
        one.train(changed)
    assert not one.began and one.kept() is None
