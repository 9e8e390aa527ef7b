"""The last stage: whoever runs the pipeline reads the verdict, however little was to be run."""

from __future__ import annotations

import subprocess
import sys

from support.project import Project
from support.stages import stages


def test_a_run_with_nothing_to_do_prints_the_verdict(tried: Project) -> None:
    said = tried.dvc("repro").stdout
    assert stages(said)["evaluate"] == "skipped"
    assert "vs strategy/first" in said and "changed against strategy/first: lr 0.003 → 0.02" in said
    tried.dvc("repro", "--force", "--single-item", "evaluate")
    assert tried.read("results/verdict.txt") in said, "the same words, whoever ran it"
    (tried.root / "results/verdict.txt").unlink()
    refused = tried.stage("verdict", ok=False)
    assert refused.returncode == 2 and "is missing; next: dvc repro evaluate verdict" in refused.stderr
    tried.dvc("repro")
    assert tried.read("results/verdict.txt") in said


def test_it_is_small() -> None:
    loaded = "import sys, assay.runtime.stage_runner, assay.stages.verdict; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "torch", "scipy", "click", "dvc"} & set(modules)
