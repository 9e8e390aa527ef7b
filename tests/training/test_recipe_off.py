"""With every option of the recipe off, training gives the bytes that it gave before there were any."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from miniature import Make

RECORDED = Path(__file__).parents[1] / "fixtures" / "recipe_off.json"
NET = """
    import torch
    from torch import Tensor, nn

    def model(shape, outputs):
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, outputs)
        )

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

    def preprocess(inputs):
        return inputs / 16

    def augment(inputs, targets, generator):
        return inputs + 0.01 * torch.randn(inputs.shape, generator=generator), targets
"""
CASES = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "clip": 0.5},
    "adam": {"optimizer": "adam", "weight_decay": 1e-3},
    "adamw": {"optimizer": "adamw", "weight_decay": 1e-2, "schedule": "cosine"},
    "double": {"optimizer": "adam", "precision": "float64"},
}


def machine() -> str:
    """What decides the last bits of a product here."""
    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"


@pytest.mark.parametrize("case", CASES)
def test_the_bytes_are_those_of_before(make: Make, case: str) -> None:
    """Recorded with the release before the recipe, alone and in lanes; another machine rounds otherwise."""
    project = make(NET, train=CASES[case])
    found = {}
    for execution in ("sequential", "fused"):
        project.measure([0, 1], out=execution, execution=execution)
        weights = b"".join(project.weights(number, execution) for number in (0, 1))
        found[execution] = hashlib.sha256(weights + project.predictions(execution).tobytes()).hexdigest()
    known = json.loads(RECORDED.read_text())
    if machine() not in known:
        pytest.skip(f"nothing was recorded with {machine()}")
    assert found == known[machine()][case]
