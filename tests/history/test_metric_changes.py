"""What defines the metric at a commit, what changed of it, and whether that came in a commit of its own."""

from __future__ import annotations

import pytest
from gitproject import PARAMS

from assay.baseline.accepted_strategy import AcceptedStrategy as Named
from assay.commands import accept_changed_metric
from assay.core.errors import IncomparableError
from assay.core.paths import ProjectPaths
from assay.history.experiments import Experiment, Stamp
from assay.history.metric_changing_commits import changed_alone
from assay.metrics.metric_definition import MetricTerms, changes, committed, definition, on_disk

METRICS = """\
from tasks.digits import helpers

REVISION = 1


def accuracy(targets, predictions):
    return helpers.share(targets == predictions)


def loss(targets, predictions):
    return 0.0


METRICS = {
    "accuracy": {"function": accuracy, "direction": "maximize", "min_effect": 0.005},
    "loss": {"function": loss, "direction": "minimize", "worst": -1},
}
"""
MODULE, HELPERS, LEARNING = (f"src/tasks/digits/{name}.py" for name in ("metrics", "helpers", "learning"))
SOURCES = {
    MODULE: METRICS,
    HELPERS: "def share(right):\n    return right.mean()\n",
    LEARNING: "def model():\n    return 1\n",
    "src/tasks/digits/data.py": "",
}
TERMS = MetricTerms("maximize", 0.005, None)


@pytest.fixture
def task(project):
    """A commit with a metric, and what training is made of."""
    project.commit(SOURCES)
    return project


def found(project, before, after="HEAD", metric="accuracy", terms=TERMS, recorded=False):
    old = committed(project.path, before, metric, "then", recorded=recorded)
    new = committed(project.path, after, metric, "now", recorded=False)
    return changes(old, new, terms)


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (MODULE, "# none", "# a comment", []),
        (MODULE, "targets == predictions", "targets[::2] == predictions[::2]", ["code of accuracy"]),
        (HELPERS, "right.mean()", "right.mean() + 0.1", ["code of accuracy"]),
        (MODULE, "REVISION = 1", "REVISION = 2", ["code of accuracy"]),
        (MODULE, "return 0.0", "return 1.0", []),  # of another metric
        ("params.yaml", "name: accuracy", "name: accuracy\n  options: {k: 2}", ["options.k – → 2"]),
        ("params.yaml", "name: accuracy", "name: loss", ["name accuracy → loss"]),
        (LEARNING, "return 1", "return 2", []),
    ],
)
def test_what_changed_of_the_metric(task, path, old, new, said):
    before, text = task.head, (task.path / path).read_text() + "# none\n"
    task.commit({path: text.replace(old, new)})
    assert found(task, before) == said


def test_terms_are_those_of_the_metrics_that_run(task):
    """They are read from the sources of the tree before, and handed in for today."""
    said = found(task, "HEAD", terms=MetricTerms("minimize", 0.5, 0.0))
    assert said == ["direction maximize → minimize", "min_effect 0.005 → 0.5", "worst none → 0"]
    assert found(task, "HEAD", metric="loss", terms=MetricTerms("minimize", 0.0, -1.0)) == []
    assert found(task, "HEAD", metric="f1") == ["accuracy is new"], "that tree has no f1"


def test_terms_of_a_baseline_are_those_that_it_was_recorded_with(task):
    """Its row in rulers.csv; in an older tree replicates.csv, and else what its METRICS writes out."""
    rulers = "metric,key,direction,min_effect,worst\nloss,l,minimize,0,\naccuracy,a,maximize,0.02,0.1\n"
    older = "arm,metric_version,direction,min_effect\ncandidate,accuracy-1.00000000,maximize,0.03\n"
    for files, terms in (
        ({"results/replicates.csv": older}, MetricTerms("maximize", 0.03, None)),
        ({"results/rulers.csv": rulers}, MetricTerms("maximize", 0.02, 0.1)),
        ({"results/rulers.csv": rulers.replace("maximize", "up")}, MetricTerms("maximize", 0.03, None)),
        ({"results/rulers.csv": "", "results/replicates.csv": ""}, TERMS),
    ):
        commit = task.commit(files)
        assert committed(task.path, commit, "accuracy", "", recorded=True).terms == terms
        assert committed(task.path, commit, "accuracy", "", recorded=False).terms == TERMS


def test_terms_that_only_running_tells_are_not_guessed(task):
    """Nothing is said while the module stays as it is; else they are not known."""
    before = task.commit({MODULE: METRICS.replace("0.005", "EPS").replace("REVISION", "EPS = 0.005\nREVISION")})
    assert found(task, before) == []
    task.commit({MODULE: METRICS.replace("0.005", "EPS").replace("REVISION", "EPS = 0.5\nREVISION")})
    assert found(task, before) == ["direction, min_effect and worst are not known there"]


@pytest.mark.parametrize(
    ("steps", "alone"),
    [
        ([{MODULE: ("0.005", "0.5")}], 1),
        ([{MODULE: ("0.005", "0.5"), "docs/why.md": ("", "because")}, {LEARNING: ("1", "2")}], 1),
        ([{MODULE: ("0.005", "0.5"), LEARNING: ("1", "2")}], 0),
        ([{MODULE: ("0.005", "0.5"), "params.yaml": ("lr: 0.001", "lr: 0.1")}], 0),
        ([{MODULE: ("0.005", "0.5"), "raw.dvc": ("", "outs: []")}], 0),
        ([{MODULE: ("0.005", "0.5")}, {MODULE: ("[0.5]", "0.7"), HELPERS: ("mean", "sum"), LEARNING: ("1", "2")}], 0),
        ([{"params.yaml": ("name: accuracy", "name: loss")}], 1),
        ([{LEARNING: ("1", "2")}], 0),  # no commit changed it
    ],
)
def test_a_change_of_the_metric_is_alone_when_its_commits_are(task, steps, alone):
    since = task.head
    for step in steps:
        old = {path: (task.path / path).read_text() if (task.path / path).exists() else "" for path in step}
        task.commit({path: old[path].replace(*change) if old[path] else change[1] for path, change in step.items()})
    project = ProjectPaths(task.path)
    assert len(changed_alone(project, project, since, [task.head], "accuracy")) == alone


@pytest.mark.parametrize("baseline", ["floor", "strategy/adam"])
def test_admission_compares_with_the_baseline_or_the_parent(task, baseline):
    """With a reason it passes, is named, and is judged by the terms of before all the same."""
    tiny = {path.replace("digits", "tiny"): text.replace("digits", "tiny") for path, text in SOURCES.items()}
    before = task.commit({**tiny, "params.yaml": PARAMS.replace("name: digits", "name: tiny")})
    named = Named(name=baseline, commit="" if baseline == "floor" else before)
    idea = {"src/tasks/tiny/metrics.py": tiny["src/tasks/tiny/metrics.py"].replace("0.005", "0.5")}
    task.commit({**idea, "src/tasks/tiny/learning.py": "def model():\n    return 2\n"})
    tried, project = Experiment("bad", task.head, before, Stamp()), ProjectPaths(task.path)
    with pytest.raises(IncomparableError, match=r"metric of bad is not that of .*: min_effect 0.005 → 0.5; allowed"):
        accept_changed_metric.check(project, project, named, tried, task.head, ())
    metric, found = accept_changed_metric.check(project, project, named, tried, task.head, ("metric",))
    assert found == ["metric: min_effect 0.005 → 0.5"] and metric.min_effect == 0.005


def test_a_helper_above_the_folder_of_dvc_yaml_is_followed(project):
    """A project in a folder of a larger repository imports what lies at its top: an edit there went unseen."""
    inside = {f"vision/{path}": text for path, text in SOURCES.items() if path != HELPERS}
    inside[f"vision/{MODULE}"] = METRICS.replace("from tasks.digits import helpers", "from shared import helpers")
    above = {"shared/helpers.py": SOURCES[HELPERS], "vision/dvc.yaml": "stages: {}\n", "vision/params.yaml": PARAMS}
    before = project.commit({**inside, **above})
    vision = project.path / "vision"

    def said(then):
        old = committed(vision, then, "accuracy", "then", recorded=False)
        assert old.code
        return changes(old, definition(on_disk(vision), "accuracy", "now", recorded=False), TERMS)

    assert said(before) == []
    after = project.commit({"shared/helpers.py": "def share(right):\n    return right.sum()\n"})
    assert said(before) == ["code of accuracy"] and said(after) == []
    assert changed_alone(ProjectPaths(vision), ProjectPaths(vision), before, [after], "accuracy") == [after]
    both = {"shared/helpers.py": SOURCES[HELPERS], f"vision/{LEARNING}": "def model():\n    return 2\n"}
    assert changed_alone(ProjectPaths(vision), ProjectPaths(vision), after, [project.commit(both)], "accuracy") == []
