"""`assay guard`: what must not change is equal to the last bit; what changed is named and explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.changes.trace_diff import first_difference, guarded
from assay.core import schemas
from assay.core.trace_records import ModeTrace, Trace, TraceRequest
from support.project import Project, build

MODES = """modes:
  wide:
    model:
      hidden: 256
  plain:
    train:
      optimizer: sgd
"""


@pytest.fixture
def split(fresh: Project) -> Project:
    """Two modes beside the default, data at hand, nothing trained, one commit tagged `before`."""
    fresh.edit("params.yaml", fresh.read("params.yaml").splitlines()[-1] + "\n", MODES)
    for stage in ("context", "prepare", "split"):
        fresh.stage(stage)
    fresh.commit("modes")
    fresh.tag("before")
    return fresh


def guard(project: Project, *arguments: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    found = json.loads(project.assay("guard", *arguments, "--json").stdout)
    return found, {mode["mode"]: mode for mode in found["modes"]}


def states(modes: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: mode["state"] for name, mode in modes.items()}


def test_a_refactoring_with_a_new_mode_is_held(split: Project) -> None:
    split.edit("src/tasks/digits/learning.py", "    width = int(", "    unused = outputs\n    width = int(")
    split.edit("params.yaml", "  wide:\n", "  deep:\n    model:\n      layers: 2\n  wide:\n")
    report = split.assay("guard", "before", "--require").stdout
    assert "before → the work tree, 5 steps on CPU" in report and "held: default, wide, plain" in report
    assert [line.split()[:2] for line in report.splitlines()[2:6]] == [
        ["default", "unchanged"], ["wide", "unchanged"], ["plain", "unchanged"], ["deep", "new"],
    ]  # fmt: skip


@pytest.mark.extra
def test_the_first_mode_step_and_tensor_are_named_with_what_explains_them(split: Project) -> None:
    """Momentum shows at the second step of SGD, a wider layer before the first; both in one mode each."""
    split.edit("params.yaml", "      optimizer: sgd\n", "      optimizer: sgd\n      momentum: 0.5\n")
    split.edit("params.yaml", "      hidden: 256", "      hidden: 255")
    split.edit("src/tasks/digits/learning.py", "import torch\n", "import torch\n\nUNUSED = 1\n")
    split.commit("after")
    found, modes = guard(split, "before", "HEAD")
    assert not found["held"] and states(modes) == {"default": "unchanged", "wide": "changed", "plain": "changed"}
    assert (modes["wide"]["step"], modes["wide"]["tensor"]) == (0, "1.weight")
    assert (modes["plain"]["step"], modes["plain"]["tensor"]) == (2, "1.weight")
    code = "code: src/tasks/digits/learning.py +2 −0"
    assert modes["wide"]["explained"] == ["model.hidden 256 → 255", code]
    assert modes["plain"]["explained"] == ["train.momentum 0.0 → 0.5", code]
    refused = split.assay("guard", "before", "HEAD", "--except", "wide", "--require", ok=False)
    assert refused.returncode == 5 and "1.weight differs after step 2: train.momentum 0.0 → 0.5" in refused.stdout
    assert "plain changed between before and HEAD; next: undo" in refused.stderr and "--except plain" in refused.stderr


def test_training_that_differs_from_itself_proves_nothing(split: Project) -> None:
    draw = "    width = int(torch.Size(shape).numel())\n    torch.manual_seed(__import__('os').getpid())\n"
    split.edit("src/tasks/digits/learning.py", "    width = int(torch.Size(shape).numel())\n", draw)
    split.commit("unsteady")
    _, modes = guard(split, "HEAD", "--except", "wide", "--except", "plain")
    assert states(modes) == {"default": "unsteady", "wide": "excepted", "plain": "excepted"}


@pytest.mark.extra
def test_what_a_few_steps_cannot_show_and_what_comes_after_training(split: Project) -> None:
    """More epochs change no early step; another predict() changes no parameter."""
    split.edit("params.yaml", "  epochs: 3", "  epochs: 4")
    _, modes = guard(split, "before", "--except", "wide", "--except", "plain")
    assert modes["default"]["state"] == "parameters" and modes["default"]["explained"] == ["train.epochs 3 → 4"]
    split.git("checkout", "--quiet", "--", "params.yaml")
    path = split.root / "src/tasks/digits/learning.py"
    path.write_text(path.read_text() + "\n\ndef predict(outputs):\n    return (2 * outputs).softmax(-1)\n")
    _, modes = guard(split, "before", "--except", "wide", "--except", "plain")
    assert (modes["default"]["step"], modes["default"]["tensor"]) == (5, "predictions")


@pytest.mark.extra
def test_a_loop_of_the_tasks_own_is_one_step(split: Project) -> None:
    path = split.root / "src/tasks/digits/learning.py"
    path.write_text(path.read_text() + OWN_LOOP)
    split.edit("params.yaml", "layers: 1", "layers: 1\n  shift: 0")
    split.edit("src/tasks/digits/learning.py", "dropout: float = 0.0\n", "dropout: float = 0.0, shift: int = 0\n")
    split.commit("own loop")
    quick = ("--except", "wide", "--except", "plain")
    assert states(guard(split, "HEAD", *quick)[1])["default"] == "unchanged"
    split.edit("params.yaml", "shift: 0", "shift: 1")
    _, modes = guard(split, "HEAD", *quick)
    assert (modes["default"]["step"], modes["default"]["tensor"]) == (1, "predictions")
    assert modes["default"]["explained"] == ["model.shift 0 → 1"]


OWN_LOOP = '''

def fit(params, data, seed):
    """Predicts one class, always."""
    chosen = (int(data.targets[0]) + params["model"]["shift"]) % 10
    return lambda inputs: torch.eye(10)[[chosen] * len(inputs)]
'''


@pytest.mark.extra
def test_two_builds_of_the_library(split: Project, tmp_path: Path) -> None:
    """`assay guard` compares strategies, both under one library. What an edit of the library does shows by the same
    trace under two builds: of a comment nothing, of the streams that initialise everything."""
    request = TraceRequest(
        modes=["default"], profile="full", seed=1, steps=2, train=str(split.root / "data/split/train"), answer=""
    )

    def traced(name: str, **env: str) -> list[dict[str, str]]:
        path, answer = tmp_path / f"{name}.json", tmp_path / f"{name}.answer.json"
        path.write_bytes(schemas.encode(msgspec.structs.replace(request, answer=str(answer))))
        split.run("assay", "stage", "trace", str(path), **env)
        return schemas.decode(answer.read_bytes(), Trace, name).modes["default"].states

    own = traced("own")
    comment = ("from collections.abc", "# a comment\nfrom collections.abc")
    assert traced("same", **build(tmp_path / "same", {"training/training_loop.py": comment})) == own
    other = traced(
        "other", **build(tmp_path / "other", {"replicates/replicate_seeds.py": ('key = f"', 'key = f"another/')})
    )
    assert other[0].keys() == own[0].keys() and other[0] != own[0]


def test_refusals(split: Project) -> None:
    def refused(code: int, said: str, *arguments: str) -> None:
        found = split.assay("guard", *arguments, ok=False)
        assert found.returncode == code and said in found.stderr and len(found.stderr.splitlines()) == 1, found.stderr

    refused(2, "baseline is floor, which has no code to compare with; next: assay guard BASE")
    refused(2, "there is no revision 'nothing'", "nothing")
    refused(2, "there is no mode 'slow'; allowed: default, wide, plain", "before", "--except", "slow")
    refused(2, "--steps is 0; allowed: 1 to 1000", "before", "--steps", "0")
    (split.root / "src/tasks/digits/extra.py").write_text("")
    split.edit("src/tasks/digits/learning.py", "import torch\n", "import torch\n\nimport tasks.digits.extra\n")
    refused(4, "src/tasks/digits/extra.py is imported but Git does not track it; next: git add", "before")
    split.git("checkout", "--quiet", "--", "src")
    split.edit("params.yaml", "  wide:\n", "  default:\n")
    refused(2, "params.yaml: modes.default is taken; allowed: any other name", "before")
    split.git("checkout", "--quiet", "--", "params.yaml")
    split.edit("params.yaml", "  wide:\n", "  wide:\n    seed: 3\n")
    refused(2, "modes.wide changes 'seed'; allowed: lr, model, train", "before")
    split.git("checkout", "--quiet", "--", "params.yaml")
    (split.root / "data/split/train/manifest.json").unlink()
    refused(2, "manifest.json is missing; next: bring the data back with `dvc checkout`", "before", "before")


def traced(*states: dict[str, str]) -> ModeTrace:
    return ModeTrace(parameters={}, states=list(states))


def test_the_first_difference() -> None:
    same = traced({"a": "1", "b": "2"}, {"a": "3", "b": "4"})
    assert first_difference(same, same) is None
    assert first_difference(same, traced({"a": "1", "b": "2"}, {"a": "3", "b": "5"})) == (1, "b")
    assert first_difference(same, traced({"b": "2"}, {"b": "4"})) == (0, "a")
    assert first_difference(same, traced({"a": "1", "b": "2", "c": "0"})) == (0, "c")
    assert first_difference(same, traced({"a": "1", "b": "2"})) == (1, "number of steps")
    assert guarded("m", same, traced({"a": "0"}), {}, {}).explained == ()
