"""dvc.yaml and the fingerprints of the library against the sources: a stage runs again for what it reaches alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.core.paths import CODED, STAGES
from assay.runtime import import_closure, library_fingerprint
from assay.runtime.source_roots import LIBRARY_TREE
from assay.runtime.stage_fingerprint import TASK_MODULES

ROOT = Path(__file__).parents[2]
#: started by a stage for what it saves, and of no influence on its outputs
OF_NO_INFLUENCE = {"warm_candidate_cache"}


def stages() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])


def reached(name: str) -> set[str]:
    return {file.as_posix() for file in library_fingerprint.sources(name)}


def test_the_pipeline_is_short() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert text.count("\n") <= 130
    assert tuple(stages()) == STAGES


@pytest.mark.parametrize("stage", CODED)
def test_code_is_watched_by_its_file_in_context_and_by_that_of_the_task(stage: str) -> None:
    """The task's own file is listed beside, so that `dvc status` and VS Code show what was edited."""
    own = [f"src/tasks/${{task.name}}/{TASK_MODULES[stage]}.py"] if stage in TASK_MODULES else []
    found = stages()[stage]
    assert [path for path in found["deps"] if "code-" in path or path.endswith(".py")] == [
        f"context/code-{stage}.json",
        *own,
    ]
    assert stages()["context"]["outs"] == ["context"]
    assert found["cmd"] == f"assay stage {stage}"


def test_context_always_runs_and_watches_nothing() -> None:
    found = stages()["context"]
    assert found["always_changed"] and "deps" not in found
    assert [name for name in stages() if stages()[name].get("always_changed")] == ["context", "verdict"]


@pytest.mark.parametrize("stage", CODED)
def test_a_fingerprint_has_what_the_stage_starts_beside_itself(stage: str) -> None:
    """Modules that are started by their name, in a process of their own."""
    tree = ast.parse((LIBRARY_TREE.root / f"assay/stages/{stage}.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    first = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
    started = {name for name in first if (LIBRARY_TREE.root / f"assay/stages/{name}.py").is_file()} - {stage}
    assert {f"assay/stages/{name}.py" for name in started - OF_NO_INFLUENCE} <= reached(stage)


def test_statistics_and_reports_never_retrain() -> None:
    for name in ("prepare", "split", "baseline", "train", library_fingerprint.TRAINING):
        assert not [
            file
            for file in reached(name)
            if file.startswith(("assay/stats", "assay/metrics", "assay/report", "assay/cli"))
        ]


def test_what_trains_is_reached_by_both_arms() -> None:
    assert reached(library_fingerprint.TRAINING) <= reached("train") & reached("baseline")


def test_only_training_stages_reach_torch() -> None:
    with_torch = {
        stage
        for stage in CODED
        if "torch" in import_closure.third_party(LIBRARY_TREE, library_fingerprint.sources(stage))
    }
    assert with_torch == {"train", "baseline"}  # the baseline in a process of its own


@pytest.mark.parametrize("stage", ["context", "verdict"])
def test_stages_that_always_run_import_neither_numpy_nor_scipy(stage: str) -> None:
    """They are all that a run with nothing to do pays for."""
    code = f"import assay.stages.{stage}, sys; print({{'numpy', 'scipy', 'torch'}} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True).stdout
    assert said == "set()\n"
