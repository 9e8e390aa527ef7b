"""A replicate that leaves the finite numbers is named exactly, and nobody else notices."""

from __future__ import annotations

import numpy as np
import pytest
from miniature import Make

from assay.words.errors import AssayError

# A task whose replicates break on demand: the replicate whose seed BREAK names, at step STEP.
BREAKING = """
    import os
    import torch
    from torch import nn
    class Model(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.inner = nn.Linear(64, 8)
            self.outer = nn.Linear(8, outputs)
            self.step = 0
            self.seed = torch.initial_seed()
        def forward(self, x):
            breaks = torch.initial_seed() == int(os.environ.get("BREAK", -1))
            if self.training:
                self.step += 1
            hidden = self.inner(x.flatten(1))
            if breaks and self.step == 5 and os.environ["WHERE"] == "gradient":
                hidden = (hidden - hidden.detach() + 1e-30).sqrt() * 0 + (hidden * 0).abs().sqrt() + hidden
            out = self.outer(hidden.relu())
            if breaks and self.step == 5 and os.environ["WHERE"] == "loss":
                out = out * float("inf")
            if breaks and not self.training and os.environ["WHERE"] == "predictions":
                out = out * float("nan")
            return out
    def model(shape, outputs):
        return Model(outputs)
    def loss(outputs, targets):
        return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
    def preprocess(inputs):
        return inputs.float() / 16
"""


@pytest.mark.parametrize(
    ("where", "tensor", "step"),
    [("loss", "loss", 5), ("gradient", "gradient of inner.weight", 5), ("predictions", "predictions", 14)],
)
def test_one_replicate_breaks(make: Make, monkeypatch: pytest.MonkeyPatch, where: str, tensor: str, step: int) -> None:
    project = make(BREAKING)
    clean = project.measure([0, 1, 2], "clean")
    monkeypatch.setenv("BREAK", str(clean.replicates[1].seed))
    monkeypatch.setenv("WHERE", where)
    answer = project.measure([0, 1, 2], "broken")
    assert [one.diverged is None for one in answer.replicates] == [True, False, True]
    found = answer.replicates[1].diverged
    assert found is not None
    assert (found.epoch, found.step, found.tensor) == (1 if step == 5 else 2, step, tensor)
    clean_predictions, predictions = project.predictions("clean"), project.predictions("broken")
    assert np.array_equal(predictions[[0, 2]], clean_predictions[[0, 2]])
    assert np.isnan(predictions[1]).all()
    assert not (project.root / "broken/models/1.safetensors").exists()
    assert any("replicate 1" in line and tensor in line for line in project.report)


def test_a_parameter_that_overflows_is_named(make: Make) -> None:
    project = make(lr=1e38)
    project.set(train={"optimizer": "sgd", "clip": 1e20})
    with pytest.raises(AssayError, match=r"diverged at epoch 1, step [12]: \w"):
        project.measure([0])
