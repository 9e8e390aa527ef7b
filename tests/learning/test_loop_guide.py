"""The loops of docs/guide/loop.md, as they stand there, and the table of what they get."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from miniature import Make

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
