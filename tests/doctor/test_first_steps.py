"""One seed twice: the first batch, module or loss that differs between two runs, of parts and of scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as modules

from assay.doctor import Report, first_steps
from support.doctor_healthy import mlp, parts, rows

SCRIPT = """
import os, sys
os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x = torch.randn(96, 8)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
order = np.random.default_rng(0 if "seeded" in sys.argv else None).permutation(96).tolist()
for epoch in range(4):
    for inputs, labels in DataLoader(TensorDataset(x, x[:, :3].argmax(1)), 16, sampler=order):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
torch.save(model.state_dict(), "weights.pt")
"""


class Shaken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + float(np.random.default_rng().standard_normal())


def built(*layers: nn.Module, **others: Any) -> Any:
    def build() -> dict[str, Any]:
        torch.manual_seed(4)
        return {**parts(nn.Sequential(*layers, mlp()), F.cross_entropy, *rows()), **others}

    return build


def test_equal_runs_pass_and_leave_no_trace() -> None:
    state = torch.get_rng_state()
    (found,) = first_steps.of_parts(built())
    assert found.result == "pass" and torch.equal(torch.get_rng_state(), state)
    assert not modules._global_forward_hooks and not modules._global_forward_pre_hooks


def test_the_first_module_that_differs_is_named() -> None:
    (found,) = first_steps.of_parts(built(Shaken()))
    assert (found.result, found.places) == (
        "fail",
        ["0 (Shaken)", "model"],
    ) and found.measured == "before the first loss"


def test_the_first_loader_that_differs_is_named() -> None:
    class Fresh(list[Any]):
        def __iter__(self) -> Any:
            return iter(
                [(torch.as_tensor(np.random.default_rng().standard_normal((4, 8))).float(), torch.arange(4) % 3)]
            )

    (found,) = first_steps.of_parts(built(train_loader=Fresh()))
    assert found.places == ["train_loader"]


def test_a_loss_that_differs_is_named_and_an_exception_is_no_pass() -> None:
    def noisy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(output, target) * float(np.random.default_rng().uniform(1, 2))

    assert first_steps.of_parts(built(loss=noisy))[0].places == ["loss"]
    (found,) = first_steps.of_parts(built(loss=None))
    assert found.result == "not run" and "TypeError" in found.reason


def test_what_differs_stands_behind_errors_and_before_what_passed() -> None:
    one, other = ((first_steps.LOSS, "loss", text) for text in "ab")
    failed = first_steps.compared([one], [other])
    passed = first_steps.compared([one], [one])
    report = first_steps.with_findings(Report(passed), failed)
    assert [each.result for each in report.findings] == ["fail", "pass"]
    assert [each.result for each in first_steps.compared([], [one])] == ["not run"]


@pytest.mark.extra
def test_a_script_runs_its_first_steps_twice_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    subprocess.run([sys.executable, "train.py", "seeded"], cwd=tmp_path, check=True)
    plain = (tmp_path / "weights.pt").read_bytes()
    line = next(number for number, text in enumerate(SCRIPT.splitlines(), 1) if "in DataLoader" in text)
    for words, result, places in (
        (["train.py", "seeded"], "pass", []),
        (["train.py"], "fail", [f"train.py:{line}", "train_loader"]),
    ):
        command = [sys.executable, "-m", "assay", "doctor", "run", "--json", "--twice", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", env=dict(os.environ))
        found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}["runs-twice"]
        assert done.returncode == 0 and (found["result"], found["places"]) == (result, places)
        if result == "pass":
            assert (tmp_path / "weights.pt").read_bytes() == plain
