"""READS in metrics.py, without running it: what it may say, who must know the files, and what a change of one is."""

from __future__ import annotations

import pytest

from assay.core.errors import AssayError, ProvenanceError
from assay.core.paths import ProjectPaths
from assay.history.metric_changing_commits import changed_alone
from assay.metrics.metric_definition import MetricTerms, changes, committed, definition, on_disk
from assay.runtime.metric_input_files import check_known, contents, listed, metric_reads

MODULE, WEIGHTS, LEARNING = "src/tasks/digits/metrics.py", "src/tasks/digits/w.npy", "src/tasks/digits/learning.py"
METRICS = """\
READS = ["w.npy", "../shared/table.csv"]
METRICS = {"accuracy": {"function": len, "direction": "maximize"}}
"""
FILES = {MODULE: METRICS, WEIGHTS: "1", "src/tasks/shared/table.csv": "2", LEARNING: "x = 1\n"}


@pytest.fixture
def task(project):
    project.commit(FILES)
    return project


def test_the_list_is_read_and_not_run():
    assert listed(b"", "m") == listed(b"def f():\n    READS = ['a']\n", "m") == []
    assert listed(b"READS: list[str] = ['a', './b/../c']\n", "m") == ["a", "c"]
    for source in (
        "READS = glob('*')",
        "READS = ['a', NAME]",
        "READS = 'a'",
        "READS = ['a']\nREADS += ['b']",
        "READS: x",
    ):
        with pytest.raises(AssayError, match=r"READS is (computed|added to); allowed: a list written out"):
            listed(source, "m")
    with pytest.raises(AssayError, match=r"READS names '/data/w\.npy'; allowed: paths as seen from the file's folder"):
        listed('READS = ["/data/w.npy"]', "m")


def test_files_are_named_as_seen_from_the_module_and_must_be_known(task):
    assert [path.as_posix() for path in metric_reads(task.path, "digits")] == [WEIGHTS, "src/tasks/shared/table.csv"]
    assert list(contents(task.path, "digits")) == ["w.npy", "../shared/table.csv"]
    assert metric_reads(task.path, "none") == []
    check_known(task.path, "digits")
    task.git("rm", "--cached", "--quiet", WEIGHTS)
    with pytest.raises(
        AssayError, match=f"metrics.py reads {WEIGHTS}, which Git does not track; next: git add"
    ) as said:
        check_known(task.path, "digits")
    assert isinstance(said.value, ProvenanceError)
    (task.path / f"{WEIGHTS}.dvc").write_text("outs: []\n")
    task.git("add", f"{WEIGHTS}.dvc")
    check_known(task.path, "digits")  # DVC holds it
    (task.path / WEIGHTS).unlink()
    with pytest.raises(AssayError, match=f"{MODULE}: READS names 'w.npy', and there is no such file"):
        metric_reads(task.path, "digits")


def test_another_content_is_another_metric(task):
    before, terms = task.head, MetricTerms("maximize", 0.0, None)

    def said(then):
        old = committed(task.path, then, "accuracy", "then", recorded=False)
        return changes(old, definition(on_disk(task.path), "accuracy", "now", recorded=False), terms)

    assert said(before) == []
    after = task.commit({WEIGHTS: "3"})
    assert said(before) == ["file w.npy"]
    assert len(changed_alone(ProjectPaths(task.path), ProjectPaths(task.path), before, [after], "accuracy")) == 1
    held = task.commit({f"{WEIGHTS}.dvc": "outs: []\n"})  # DVC holds it from now on: what it says counts
    assert said(held) == []
    task.commit({f"{WEIGHTS}.dvc": "outs: [{md5: 1}]\n"})
    assert said(held) == ["file w.npy"]
