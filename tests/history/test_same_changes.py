"""What changed, and how many changes that is: `evaluate`, `status`, `accept` and `log` say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from gitproject import PARAMS, VERSION, Project, accepted, metrics

from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.changes import strategy_content
from assay.commands import accept_checks
from assay.commands.log import log
from assay.commands.status import status
from assay.core.errors import IncomparableError
from assay.core.paths import ProjectPaths
from assay.history.experiments import read

LEARNING = "src/tasks/digits/learning.py"
DATA = "src/tasks/digits/data.py"
BEFORE = "def model(**options):\n    return 1\n"
AFTER = "def model(*, heads=1, **options):\n    return heads\n"
OWN = PARAMS.replace("floor ", "strategy/adam ")
HEADS = OWN + "model:\n  heads: 4\n"
#: params.yaml and learning.py of the candidate → what is said of it, and how many changes it is
CANDIDATES = {
    "a parameter": (OWN.replace("lr: 0.001 ", "lr: 0.01 "), BEFORE, "lr 0.001 → 0.01", 1),
    "code with its new parameter": (HEADS, AFTER, f"model.heads 4 (new) · code: {LEARNING} +2 −2", 1),
    "code and a parameter that was there": (
        OWN.replace("lr: 0.001 ", "lr: 0.01 "),
        AFTER,
        f"lr 0.001 → 0.01 · code: {LEARNING} +2 −2 · 2 changes bundled",
        2,
    ),
    "a comment": (OWN, BEFORE + "# why\n", f"code: {LEARNING} +1 −0 (comments or layout only)", 0),
    "a module less": (OWN, BEFORE, "code: src/extra.py +0 −1", 1),
}


@pytest.fixture
def adam(project: Project) -> Project:
    """strategy/adam is the baseline; `data.py` uses a module of its own where that is there."""
    data = "try:\n    import extra\nexcept ImportError:\n    pass\n\n\ndef prepare(): ...\n"
    commit = project.commit({LEARNING: BEFORE, DATA: data, "src/extra.py": "x = 1\n"})
    project.tag(accepted(commit))
    project.commit({"params.yaml": OWN})
    return project


def try_(project: Project, case: str) -> None:
    """Put the candidate into the work tree, and into an experiment as a run would."""
    params, code, *_ = CANDIDATES[case]
    project.write({"params.yaml": params, LEARNING: code})
    if case == "a module less":
        (project.path / "src/extra.py").unlink()
    head = project.head
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "try")
    project.experiment("tried", {"results/metrics.json": metrics()})
    project.git("reset", "-q", "--mixed", head)


def admitted(project: Project, *allow: str) -> list[str]:
    """What `assay accept` takes for the changes of the work tree."""
    named = strategy(project)
    return accept_checks.check_bundle(ProjectPaths(project.path), read(project.path), named, VERSION, allow)


def strategy(project: Project) -> AcceptedStrategy:
    return AcceptedStrategy(name="strategy/adam", commit=project.git("rev-parse", "strategy/adam^{}"))


@pytest.mark.parametrize("case", CANDIDATES)
def test_all_commands_say_the_same(adam: Project, case: str) -> None:
    *_, text, count = CANDIDATES[case]
    try_(adam, case)
    evaluated = strategy_content.changes_since(ProjectPaths(adam.path), adam.path, strategy(adam).commit, "full")
    assert (str(evaluated), evaluated.count) == (text, count)
    (line,) = [line for line in status(adam.path).lines if line.topic == "difference"]
    assert text in line.text and line.healthy == (count < 2)
    (row,) = [row for row in log(adam.path, everything=True).rows if row.kind == "experiment"]
    assert row.changed == text
    if count == 0:
        with pytest.raises(IncomparableError, match="nothing differs"):
            admitted(adam)
    elif count == 1:
        assert " · ".join(admitted(adam)) == text
    else:
        with pytest.raises(IncomparableError, match=r"2 changes at once .*--branch"):
            admitted(adam)


def test_an_ablation_clears_a_bundle_of_code_and_a_parameter(adam: Project) -> None:
    """Each part was measured by an experiment of its own: the parameter, and the code with what it introduces."""
    params = HEADS.replace("lr: 0.001 ", "lr: 0.01 ")
    adam.experiment("lr", {"params.yaml": OWN.replace("lr: 0.001 ", "lr: 1e-2 "), "results/metrics.json": metrics()})
    adam.write({"params.yaml": params, LEARNING: AFTER, "results/metrics.json": metrics()})
    with pytest.raises(IncomparableError, match=r"not measured alone: model\.heads 4 .new. · code: "):
        admitted(adam)
    (line,) = [line for line in status(adam.path).lines if line.topic == "difference"]
    assert line.hint == "assay ablate -S lr=0.01 --branch BRANCH"
    other = {"params.yaml": HEADS, LEARNING: AFTER.replace("return heads", "return -heads")}
    adam.experiment("other-code", {**other, "results/metrics.json": metrics()})
    fast = {"params.yaml": HEADS, LEARNING: AFTER, "results/metrics.json": metrics(profile="fast")}
    adam.experiment("fast", fast)
    assert [line.hint for line in status(adam.path).lines if line.topic == "difference"] != [""]
    adam.experiment("code", {**fast, LEARNING: AFTER + "# done\n", "results/metrics.json": metrics()})
    assert admitted(adam) == ["lr 0.001 → 0.01", f"model.heads 4 (new) · code: {LEARNING} +2 −2"]
    assert [line.hint for line in status(adam.path).lines if line.topic == "difference"] == [""]


def test_sources_behind_a_link_are_those_of_the_commit(project: Project) -> None:
    """A folder of Git's that is a link to another: what training reaches through it is read from the commit, too."""
    project.write({"shared/helper.py": "x = 1\n", "src/tasks/digits/data.py": "def prepare(): ...\n"})
    (project.path / "src" / "linked").symlink_to(Path("..", "shared"))
    commit = project.commit({LEARNING: "from linked import helper\n" + BEFORE})
    found = strategy_content.in_commit(project.path, commit, "full")
    assert found.sources["src/linked/helper.py"] == "x = 1\n"
    assert not found.sources.keys() - strategy_content.in_work_tree(project.path, "full").sources.keys()
    project.write({"shared/helper.py": "x = 2\n"})
    since = strategy_content.changes_since(ProjectPaths(project.path), project.path, commit, "full")
    assert str(since) == "code: src/linked/helper.py +1 −1"
