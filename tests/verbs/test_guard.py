"""`assay guard`: what must not change is equal to the last bit; what changed is named and explained."""

from __future__ import annotations

import json

from support.project import Project


def modes(project: Project, *arguments: str) -> dict[str, dict]:
    found = json.loads(project.assay("guard", *arguments, "--json").stdout)
    return {one["mode"]: one for one in found["modes"]}


def test_a_refactoring_is_equal_and_a_change_is_named(done: Project) -> None:
    done.edit("src/tasks/digits/learning.py", "import torch", "import torch\n\nUNUSED = 1")
    done.commit("refactor")
    found = modes(done, "strategy/fast")
    assert {mode: one["step"] for mode, one in found.items()} == {"full": 0, "fast": 0}
    done.edit("params.yaml", "      hidden: 64", "      hidden: 65")
    done.commit("another fast mode")
    found = modes(done, "strategy/fast", "HEAD")
    assert found["full"]["step"] == 0 and found["fast"]["step"] == 1
    assert found["fast"]["tensor"] and "model.hidden: 64 → 65" in found["fast"]["explained"]
    assert "src/tasks/digits/learning.py" in found["fast"]["explained"]
    required = done.assay("guard", "strategy/fast", "HEAD", "--require", ok=False)
    assert required.returncode == 5 and "mode fast changed; next: undo it, or --changes fast" in required.stderr
    assert "fast: differs after step 1, first in " in required.stdout
    assert list(modes(done, "strategy/fast", "HEAD", "--changes", "fast", "--require")) == ["full"]


def test_a_change_that_only_the_second_step_shows(done: Project) -> None:
    """Momentum has no effect on the first step of SGD."""
    done.edit("params.yaml", "optimizer: adam ", "optimizer: sgd ")
    done.commit("sgd")
    done.edit("params.yaml", "momentum: 0.0", "momentum: 0.5")
    done.commit("momentum")
    found = modes(done, "HEAD~1", "HEAD", "--changes", "fast")["full"]
    assert found["step"] == 2 and found["explained"] == ["train.momentum: 0.0 → 0.5"]


def test_refusals(done: Project) -> None:
    for arguments, said in (
        (["nothing"], "there is no revision 'nothing'"),
        (["strategy/fast", "HEAD", "--changes", "slow"], "'slow' is no mode; allowed: full, fast"),
    ):
        found = done.assay("guard", *arguments, ok=False)
        assert found.returncode == 2 and said in found.stderr
