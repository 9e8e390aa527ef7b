"""The loops of docs/guide/loop.md, as they stand there, and the table of what they get."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from miniature import Make

from assay.core.errors import UsageError
from support import pages

PAGE = pages.ROOT / "docs/guide/loop.md"
_LOOP = re.compile(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LOOPS = dict(_LOOP.findall(PAGE.read_text(encoding="utf-8")))
PACKAGES = {
    "Lightning": ["lightning"],
    "Hugging Face Trainer": ["transformers", "accelerate"],
    "accelerate": ["accelerate"],
}


@pytest.mark.parametrize("name", ["A plain loop", *(pytest.param(name, marks=pytest.mark.extra) for name in PACKAGES)])
def test_a_loop_of_the_guide(make: Make, name: str) -> None:
    for package in PACKAGES.get(name, []):
        pytest.importorskip(package)
    project = make(LOOPS[name], model={"hidden": 16}, train={"epochs": 3, "batch_size": 32, "holdout": 0.1}, lr=0.01)
    answer = project.measure([0, 1], execution="auto", cache=str(project.root / "cache"))
    one, two = project.predictions()
    assert one.shape == (60, 10) and np.allclose(one.sum(1), 1, atol=1e-4) and not np.array_equal(one, two)
    assert not answer.texts("caution") and not any(answer.texts())
    with (project.root / "out/curves.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["replicate"] == "1"]
    losses = [float(row["train_loss"]) for row in rows if row["train_loss"]]
    assert losses[-1] < losses[0]
    if "holdout" in LOOPS[name]:
        assert (
            all(float(row["validation_loss"]) > 0 for row in rows if row["validation_loss"])
            and rows[-2]["validation_loss"]
        )
    assert not list((project.root / "cache").glob("checkpoints/*")), "what was sealed needs none"


#: line of a loop → the same, then killed once in the second epoch
_KILL = """
        import os, pathlib
        if EPOCH > 1 and not pathlib.Path(os.environ["MARK"]).exists():
            pathlib.Path(os.environ["MARK"]).touch()
            os.kill(os.getpid(), 9)
"""
KILLED = {
    "Lightning": ("self.draw(trainer.current_epoch + 1, **trainer.callback_metrics)", "trainer.current_epoch + 1"),
    "Hugging Face Trainer": ("self.log(state.epoch, **logs)", "state.epoch"),
}


@pytest.mark.extra
@pytest.mark.parametrize("name", KILLED)
def test_a_killed_loop_of_the_guide_goes_on(make: Make, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for package in PACKAGES[name]:
        pytest.importorskip(package)
    line, epoch = KILLED[name]
    source = LOOPS[name].replace(line, line + _KILL.replace("EPOCH", epoch))
    project = make(source, model={"hidden": 16}, train={"epochs": 3, "batch_size": 32, "holdout": 0.1}, lr=0.01)
    monkeypatch.setenv("MARK", str(project.root / "mark"))
    cache = {"execution": "auto", "cache": str(project.root / "cache")}
    with pytest.raises(UsageError, match="signal 9"):
        project.measure([0], **cache)
    before = project.root / "out/curves.csv"
    first = before.read_text()
    project.measure([0], **cache)
    assert "replicate 0 resumes" in (project.root / "out/train.log").read_text()
    with before.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["train_loss"] == next(csv.DictReader(first.splitlines()))["train_loss"], "as it was before"
    assert float(rows[-1]["epoch"]) == 3 and len({row["epoch"] for row in rows}) == len(rows) == 3
