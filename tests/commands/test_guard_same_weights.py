"""`assay guard --same-as EXP`: the weights of an experiment, from other code, bit for bit; or what differs, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from msgspec.structs import replace

from assay.commands.guard_same_weights import ReplicateWeights, SameWeights, environment_differences
from assay.core.errors import UsageError
from assay.core.schemas import Environment
from assay.replicates.weights_diff import first_difference
from assay.report import guard_text
from support.project import Project

TASK = "src/tasks/digits/learning.py"


def test_the_first_tensor_that_differs() -> None:
    weights = {"b": np.zeros(3, np.float32), "a": np.ones((2, 2), np.float32)}

    def saved(**changed: np.ndarray) -> bytes:
        return safetensors.numpy.save({**weights, **changed})

    assert first_difference(saved(), saved(), "x") == ""
    assert first_difference(saved(), saved(a=np.full((2, 2), 1 + 1e-7, np.float32)), "x") == "a"
    assert first_difference(saved(), saved(b=np.full(3, -0.0, np.float32)), "x") == "b"
    assert first_difference(saved(), saved(a=np.ones(4, np.float32)), "x") == "a"
    assert first_difference(saved(), saved(c=np.ones(1, np.float32)), "x") == "c"
    with pytest.raises(UsageError, match="weights of 3: "):
        first_difference(saved(), saved()[:-2], "weights of 3")


def test_what_is_said_of_each_outcome() -> None:
    def text(differs: list[str], environment: list[str], *rows: guard_text.WeightsRow) -> str:
        return guard_text.same_weights("fast (123) → the work tree", differs, ["f.py +1 −1"], environment, rows)

    assert text(["lr 0.1 → 0.2"], []).split("\n") == [
        "fast (123) → the work tree",
        "code: f.py +1 −1",
        "not the same: lr 0.1 → 0.2",
        "not held: other parameters or data, so nothing was trained",
    ]
    assert text([], [], (0, 7, "", None), (1, 8, "", None)).endswith("held: 2 of 2 replicates")
    changed = text([], [], (0, 7, "0.weight", True), (1, 8, "", True))
    assert "CHANGED  0.weight differs\n" in changed.replace("    ", "  ") and changed.endswith(
        "held: 1 of 2 replicates"
    )
    shaky = text([], ["torch 2.12 → 2.13"], (0, 7, "0.weight", False))
    assert "environment: torch 2.12 → 2.13\n" in shaky and "UNSTEADY" in shaky
    assert shaky.endswith("as the experiment's own code gives other weights in today's environment")
    outcome = SameWeights("fast", "123", "x", [], [], [], [ReplicateWeights(0, 7)])
    assert outcome.held and not SameWeights("fast", "123", "x", [], [], [], []).held


def test_what_differs_between_two_environments() -> None:
    then = Environment(device="cpu", machine="x86_64", system="Linux", packages={"torch": "2.12", "timm": "1"})
    now = replace(then, packages={"torch": "2.13"}, library="abc", variables={"OMP_PROC_BIND": "true"})
    assert environment_differences(then, then) == []
    assert environment_differences(then, now) == [
        "training code of Assay unknown → abc",
        "timm 1 → none",
        "torch 2.12 → 2.13",
        "OMP_PROC_BIND none → true",
    ]


def guard(project: Project, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.assay("guard", "--same-as", "tried", *arguments, "--json").stdout)
    return found


@pytest.mark.extra
def test_refusals(tried: Project) -> None:
    def refused(code: int, said: str, *arguments: str) -> None:
        found = tried.assay("guard", *arguments, ok=False)
        assert found.returncode == code and said in found.stderr and len(found.stderr.splitlines()) == 1, found.stderr

    refused(2, "there is no experiment 'nothing'", "--same-as", "nothing")
    refused(
        2, "--same-as takes one revision and no mode; next: assay guard --same-as tried", "--same-as", "tried", "a", "b"
    )
    tried.edit("params.yaml", "lr: 0.02", "lr: 0.03")
    refused(
        5,
        "the work tree does not give the weights of tried; next: git diff",
        "--same-as",
        "tried",
        "--json",
        "--require",
    )
    found = guard(tried)
    assert not found["held"] and found["differs"] == ["lr 0.02 → 0.03"] and found["replicates"] == []


@pytest.mark.extra
def test_a_branch_that_was_cleaned_up(tried: Project, tmp_path: Path) -> None:
    """Other names and files, the same weights; then other weights, with the tensor, and what repeats itself."""
    (tried.root / "src/tasks/digits/widths.py").write_text(
        "def flat(shape):\n    width = 1\n    for side in shape:\n        width *= side\n    return width\n"
    )
    tried.edit(TASK, "import torch\n", "import torch\nfrom tasks.digits.widths import flat\n")
    tried.edit(TASK, "int(torch.Size(shape).numel())", "flat(shape)")
    refused = tried.assay("guard", "--same-as", "tried", ok=False)
    assert refused.returncode == 4 and "widths.py is imported but Git does not track it" in refused.stderr
    commit = tried.commit("clean up")
    said = tried.assay("guard", "--same-as", "tried", "--require")
    assert said.stdout.splitlines()[-1] == "held: 3 of 3 replicates" and "training 3 replicates anew" in said.stderr
    assert (
        "tried (" in said.stdout
        and "code: src/tasks/digits/learning.py" in said.stdout
        and "environment:" not in said.stdout
    )
    tried.git("checkout", "--quiet", "--detach")
    tried.edit(TASK, "flat(shape)", "flat(shape) + 0 * torch.rand(1).numel()")
    tried.edit(TASK, "    width = ", "    torch.rand(1)\n    width = ")
    tried.commit("draw once more")
    assert guard(tried, commit)["held"]
    other = guard(tried)
    assert [one["tensor"] for one in other["replicates"]] == ["1.bias"] * 3 or other["replicates"][0]["tensor"]
    assert all(one["repeats"] for one in other["replicates"]) and not other["held"]
