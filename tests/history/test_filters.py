"""Files of commits as a checkout writes them, whenever a filter came: its own attributes count, not the work tree's."""

from __future__ import annotations

from gitproject import Project

from assay.metrics import metric_definition
from assay.runtime import git
from assay.runtime.git_objects import reading

SOURCE = "one = 1\n"
METRICS = "src/tasks/digits/metrics.py"


def filtered(project: Project, path: str) -> None:
    """Give the repository a filter that no clone has, for files at `path`."""
    project.git("config", "filter.rot.clean", "tr A-Za-z N-ZA-Mn-za-m")
    project.git("config", "filter.rot.smudge", "tr A-Za-z N-ZA-Mn-za-m")
    project.write({".gitattributes": f"{path} filter=rot\n"})
    project.git("add", "--renormalize", ".")


def test_a_filter_that_came_later_does_not_touch_what_was_before(project: Project) -> None:
    before = project.commit({METRICS: SOURCE, "plain.txt": "one"})
    filtered(project, METRICS)
    after = project.commit()
    assert project.git("cat-file", "-p", f"{after}:{METRICS}") == "bar = 1"
    for commit in (before, after):
        assert git.read(project.path, commit, METRICS) == SOURCE.encode()
        assert git.read(project.path, commit, "plain.txt") == b"one"
        assert git.read(project.path, commit, "absent.txt") is None


def test_a_metric_behind_a_filter_is_no_other_metric(project: Project) -> None:
    project.write({METRICS: SOURCE})
    filtered(project, METRICS)
    commit = project.commit()
    with reading(project.path) as objects:
        assert metric_definition.at(objects, project.path, commit)(METRICS) == SOURCE.encode()
