"""Code that Git or DVC does not know is refused before anything is trained, and outputs stay out of Git."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from support.project import CHECKOUT, Project
from support.weights import digests


def add_import(project: Project, line: str = "from tasks.digits import extra") -> None:
    project.edit("src/tasks/digits/learning.py", "import torch\n", f"import torch\n{line}\n")
    (project.root / "src/tasks/digits/extra.py").write_text("WIDTH = 3\n", encoding="utf-8")


def refused(project: Project, *dvc: str) -> str:
    """The one sentence of a run that must end before it touches any result."""
    before = digests(project), project.read("results/metrics.json")
    done = project.dvc("exp", "run", *dvc, ok=False) if dvc else project.stage("context", ok=False)
    assert done.returncode == (255 if dvc else 4), done.stdout + done.stderr
    assert (digests(project), project.read("results/metrics.json")) == before, "the last good results must survive"
    said = [line for line in done.stderr.splitlines() if line.startswith("assay: ")]
    assert len(said) == 1 and "Traceback" not in done.stderr, done.stderr
    return said[0]


def test_unknown_code_is_refused_and_each_mend_works(project: Project) -> None:
    add_import(project)
    said = refused(project, "-S", "lr=0.01")
    extra = "src/tasks/digits/extra.py"
    assert said.endswith(f"imported but Git does not track it; next: git add {extra} && git commit -m Track -- {extra}")
    said = refused(project, "--temp", "-S", "lr=0.01")
    assert "imports src/tasks/digits/extra.py, which this run lacks: Git does not track it" in said

    project.git("add", "src/tasks/digits/extra.py")
    project.stage("context")  # and nothing else
    assert set(json.loads(project.read("context/code-train.json"))["files"]) == {
        "src/tasks/digits/extra.py",
        "src/tasks/digits/learning.py",
    }

    # Nobody imports it, but DVC would hash it as a part of what the stage depends on.
    own = "      - src/tasks/${task.name}/learning.py\n"
    project.edit("dvc.yaml", own, f"{own}      - src/tasks\n")
    notes = project.root / "src/tasks/my notes.txt"
    notes.write_text("to do\n", encoding="utf-8")
    said = refused(project)
    assert "my notes.txt lies inside the dependencies of stage train" in said
    assert "git add 'src/tasks/my notes.txt'" in said
    said = refused(project, "--temp")
    assert "stage train depends on src/tasks/my notes.txt, which this run lacks" in said
    notes.unlink()
    (project.root / "src/tasks/__pycache__").mkdir(exist_ok=True)
    (project.root / "src/tasks/__pycache__/loop.cpython-311.pyc").write_bytes(b"")
    project.stage("context")


def test_a_stage_runs_what_context_saw(project: Project) -> None:
    """`dvc repro -s train` skips context. The check of the sources and that of what Python really loaded are two."""
    add_import(project)
    project.git("add", "src/tasks/digits/extra.py")
    done = project.dvc("repro", "--single-item", "train", ok=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("assay: ")]
    assert said[0].startswith("assay: train: src/tasks/digits/extra.py, src/tasks/digits/learning.py changed since ")
    assert said[0].partition("; dvc removed")[0].endswith("; next: dvc repro context train")
    project.dvc("repro", "context", "train")
    computed = '__import__("importlib").import_module("tasks.digits." + "unseen")'
    project.edit("src/tasks/digits/learning.py", "from tasks.digits import extra\n", f"{computed}\n")
    (project.root / "src/tasks/digits/unseen.py").write_text("", encoding="utf-8")
    project.git("add", "src/tasks/digits/unseen.py")
    project.git("rm", "--quiet", "-f", "src/tasks/digits/extra.py")
    for stage in ("context", "train"):
        done = project.stage(stage, ok=stage == "context")
    assert done.returncode == 0 and json.loads(project.read("arms/candidate.json"))["unproven"] == [
        "src/tasks/digits/unseen.py"
    ]


def test_an_import_that_comes_late_marks_the_results(project: Project) -> None:
    project.edit(
        "src/tasks/digits/learning.py",
        "    return -outputs",
        '    __import__("importlib").import_module("tasks.digits." + "extra")\n    return -outputs',
    )
    (project.root / "src/tasks/digits/extra.py").write_text("WIDTH = 3\n", encoding="utf-8")
    project.git("add", "src/tasks/digits/extra.py")
    project.stage("context")
    project.stage("train")
    assert json.loads(project.read("arms/candidate.json"))["unproven"] == ["src/tasks/digits/extra.py"]
    said = project.judged()
    assert "unproven: src/tasks/digits/extra.py was imported after the check" in said
    assert project.metrics["unproven"] == "src/tasks/digits/extra.py", "the mark belongs where Git keeps it"
    assert project.metrics["n"] == 3, "results are kept"


def test_a_checkout_of_assay_runs_its_own_sources(fresh: Project) -> None:
    """By what they say, never by where they lie: a copy will do, and so will a comment. Else it names the mend."""
    own = fresh.root / "src/assay"
    shutil.copytree(CHECKOUT / "src/assay", own, ignore=shutil.ignore_patterns("__pycache__"))
    (fresh.root / "pyproject.toml").write_text("", encoding="utf-8")
    fresh.edit("src/assay/stages/evaluate.py", "from __future__", "# a comment\nfrom __future__")
    fresh.stage("context")
    assert not [file for file in json.loads(fresh.read("context/code-evaluate.json"))["files"] if "assay" in file]
    fresh.edit("src/assay/stages/verdict_lines.py", "DIGITS = 4", "DIGITS = 5")
    refused = fresh.stage("context", ok=False)
    assert refused.returncode == 4 and "evaluate would do something else" in refused.stderr
    assert refused.stderr.strip().endswith(f"next: pip install --no-deps -e '{fresh.root}'")


def test_outputs_stay_out_of_git(fresh: Project) -> None:
    """From the first run on: what DVC keeps is ignored, what Git keeps is results and plots."""
    fresh.dvc("exp", "run", "--name", "first")
    written = fresh.git("status", "--porcelain", "--untracked-files=all").splitlines()
    kept = {"dvc.lock", "plots", "results"}
    assert {Path(line[3:]).parts[0] for line in written} <= kept, written
    files = set(fresh.git("ls-tree", "-r", "--name-only", experiment(fresh)).split())
    new = files - set(fresh.git("ls-tree", "-r", "--name-only", "HEAD").split())
    assert "results/metrics.json" in files and new <= {
        "dvc.lock",
        "results/metrics.json",
        "results/replicates.csv",
        "results/rulers.csv",
        "results/slices.csv",
        "results/cases.csv",
        "plots/confusion.csv",
        "plots/reliability.csv",
    }


def experiment(project: Project) -> str:
    """The commit of the only experiment."""
    (commit,) = set(project.git("for-each-ref", "--format=%(objectname)", "refs/exps/*/*/*").split())
    return commit


def test_identity_of_a_result(project: Project) -> None:
    """Where it came from stands beside it: commit, experiment, code, data, environment, and what git status says."""
    head = project.git("rev-parse", "HEAD")
    project.dvc("exp", "run", "--name", "told", "-S", "lr=0.01")
    candidate = json.loads(project.read("arms/candidate.json"))
    baseline = json.loads(project.read("arms/baseline.json"))
    assert (candidate["commit"], candidate["experiment"]) == (head, "told")
    assert baseline["commit"] == project.git("rev-parse", "strategy/first^{commit}")
    assert candidate["measurement"]["identity"]["parameters"]["lr"] == 0.01
    assert baseline["measurement"]["identity"]["parameters"]["lr"] != 0.01
    assert candidate["measurement"]["identity"]["code"] == baseline["measurement"]["identity"]["code"]
    assert candidate["environment"] == baseline["environment"]
    assert candidate["unproven"] == [] and "unproven" not in project.metrics
    changed = {line.split()[-1] for line in project.git("status", "--porcelain").splitlines()}
    assert changed <= {"dvc.lock", "params.yaml"} | {f for f in changed if f.startswith(("results/", "plots/"))}
