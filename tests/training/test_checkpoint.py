"""An interrupted training ends as if undisturbed, and never goes on from a checkpoint that is not its own."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from miniature import Make, Project
from zoo import TASK

from assay.replicates import cache_entries
from assay.training import checkpoint, state_serialization
from assay.training.engine import Engine

SOURCE = Path(__file__).parents[2] / "src"

#: dropout, augmentation, batch statistics and global generators: every kind of state that a run carries
CARRYING = (
    TASK
    + """
    def augment(inputs, targets, generator):
        shift = torch.randint(3, (1,), generator=generator) + random.randrange(2)
        return inputs.roll(int(shift), -1), targets
"""
)


class Interrupted(BaseException):
    pass


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, lanes: int = 1) -> None:
    """Write a checkpoint after every step, and break off in step `step` of an engine of `lanes`."""
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    real = Engine.step

    def breaking(self: Engine, inputs: torch.Tensor, targets: torch.Tensor, lr: float, number: int) -> torch.Tensor:
        if number == step and self.lanes == lanes:
            raise Interrupted
        return real(self, inputs, targets, lr, number)

    monkeypatch.setattr(Engine, "step", breaking)


def run(project: Project, out: str, **more: object):
    return project.measure([0, 1, 2], out, cache=str(project.root / "cache"), **more)


OWN_OPTIMIZER = """
    def optimizer(parameters, settings):
        return torch.optim.Adam(parameters, lr=settings.lr, foreach=False)
"""


@pytest.mark.parametrize("execution", ["fused", "sequential", "own optimizer"])
@pytest.mark.parametrize("step", [1, 3, 8, 9, 13])
def test_resumes_bitwise(make: Make, monkeypatch: pytest.MonkeyPatch, execution: str, step: int) -> None:
    source = CARRYING + (OWN_OPTIMIZER if execution == "own optimizer" else "")
    ways = {"execution": "fused" if execution == "fused" else "sequential"}
    project = make(source, model={"net": "convolution"}, train={"schedule": "cosine"})
    project.measure([0, 1, 2], "undisturbed", **ways)
    with monkeypatch.context() as patch:
        interrupt_at(patch, step, lanes=3 if execution == "fused" else 1)
        with pytest.raises(Interrupted):
            run(project, "broken", **ways)
    answer = run(project, "resumed", **ways)
    log = (project.root / "resumed" / "train.log").read_text()
    assert (f"resumed after step {step - 1} of 14" in log) == (step > 1)
    assert [one.steps for one in answer.replicates] == [14] * 3
    for number in range(3):
        assert project.weights(number, "resumed") == project.weights(number, "undisturbed")
    assert np.array_equal(project.predictions("resumed"), project.predictions("undisturbed"))
    curves = [(project.root / out / "curves.csv").read_text() for out in ("resumed", "undisturbed")]
    assert curves[0] == curves[1]
    assert not [path for path in (project.root / "cache" / "checkpoints").rglob("*") if path.is_file()]


def test_another_code_version_starts_afresh_and_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make()
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(Interrupted):
            run(project, "broken")
    run(project, "other", code="another")
    assert "made by other code and is not used" in (project.root / "other" / "train.log").read_text()
    run(project, "same")
    assert "resumed after step 4" in (project.root / "same" / "train.log").read_text()


def test_a_damaged_checkpoint_is_not_believed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make()
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(Interrupted):
            run(project, "broken")
    (kept,) = (path for path in (project.root / "cache" / "checkpoints").rglob("*") if path.is_file())
    kept.write_bytes(kept.read_bytes()[:-7])
    run(project, "again")
    assert "resumed" not in (project.root / "again" / "train.log").read_text()
    project.measure([0], "undisturbed")
    assert project.weights(0, "again") == project.weights(0, "undisturbed")


def test_a_full_disk_costs_the_checkpoint_and_nothing_else(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make()
    project.measure([0, 1, 2], "undisturbed")
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    real = cache_entries.seal

    def full(path: Path, content: bytes) -> None:
        if "checkpoints" in path.parts:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content)

    monkeypatch.setattr(cache_entries, "seal", full)
    run(project, "full")
    assert "no checkpoint: " in (project.root / "full" / "train.log").read_text()
    assert project.weights(2, "full") == project.weights(2, "undisturbed")


def test_packing_is_an_inverse_pair() -> None:
    tree = {
        "a": [1, 2.5, float("nan"), float("inf"), None, True, "text"],
        3: ("pair", {"deep": torch.arange(6).view(2, 3)}),
        "array": np.arange(4, dtype=np.uint32),
        "empty": torch.zeros(0),
    }
    back = state_serialization.unpack(state_serialization.pack(tree))
    assert back["a"][:2] == [1, 2.5] and np.isnan(back["a"][2]) and back["a"][3:] == tree["a"][3:]
    assert back[3][0] == "pair" and isinstance(back[3], tuple)
    assert torch.equal(back[3][1]["deep"], tree[3][1]["deep"])
    assert back["array"].dtype == np.uint32 and np.array_equal(back["array"], tree["array"])
    with pytest.raises(TypeError, match="a set cannot be packed"):
        state_serialization.pack({"a": {1}})


RUN = """
import sys
sys.path[:0] = [{source!r}]
from pathlib import Path
import msgspec
from assay.training import checkpoint, autotune_execution as choose
from assay.training.train_and_predict import measure
from assay.core.schemas import MeasureRequest
checkpoint.SECONDS, checkpoint.SHARE = 0.02, float("inf")
choose.way = lambda *_asked, **_more: choose.Way{way}
request = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=MeasureRequest)
print("ready", flush=True)
measure(request, Path({root!r}))
"""


@pytest.mark.kill
@pytest.mark.parametrize(
    ("execution", "way"),
    [("sequential", (1, 1)), pytest.param("fused", (2, 2), marks=pytest.mark.extra)],
    ids=["alone", "workers"],
)
def test_killed_at_random_moments_it_ends_as_if_undisturbed(make: Make, execution: str, way: tuple[int, int]) -> None:
    chance = random.Random(7)
    project = make(CARRYING, model={"net": "convolution"}, train={"epochs": 25})
    project.measure([0, 1, 2], "undisturbed", execution=execution)
    file = project.root / "request.json"
    file.write_bytes(msgspec.json.encode(project.request([0, 1, 2], cache=str(project.root / "cache"))))
    command = [sys.executable, "-c", RUN.format(source=str(SOURCE), root=str(project.root), way=way), str(file)]
    for _ in range(5):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        try:
            process.wait(timeout=chance.uniform(0.0, 0.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for number in range(3):
        assert project.weights(number) == project.weights(number, "undisturbed")
    assert np.array_equal(project.predictions(), project.predictions("undisturbed"))
