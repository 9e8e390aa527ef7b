"""Reading refs, tags and experiments in bulk; the fold of events into a state."""

from __future__ import annotations

import random
import subprocess

import msgspec
import pytest
from gitproject import PARAMS, VERSION, accepted, metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.changes.experiment_diffs import changes
from assay.history.experiments import Stamp, Tag, read
from assay.history.strategy_status import fold
from assay.runtime import git_objects
from assay.runtime.git_objects import reading, refs
from assay.tags.strategy_events import Rejected, Rescored, Revoked, Score, tag_of


def test_objects_come_back_whole_whatever_is_in_them(project):
    contents = [b"", b"\n", b"a\r\nb\n", bytes(range(256)), b"blob 5\n", b"x" * 200_000]
    names = []
    for number, content in enumerate(contents):
        (project.path / f"f{number}").write_bytes(content)
        names.append(f"HEAD:f{number}")
    project.commit()
    with reading(project.path) as batch:
        found = batch.read([*names, "HEAD:none", "no such thing", "f" * 40, *names])
    bytes_found = [None if item is None else item.content for item in found]
    assert bytes_found == [*contents, None, None, None, *contents]


def test_thousands_of_large_requests_do_not_block(project, monkeypatch):
    monkeypatch.setattr(git_objects, "REQUESTS", 1000)
    (project.path / "large").write_bytes(b"y" * 50_000)
    project.commit()
    with reading(project.path) as batch:
        found = batch.read(["HEAD:large"] * 400)
    assert all(item is not None and len(item.content) == 50_000 for item in found)


def test_experiments_are_told_from_what_else_dvc_keeps(project):
    commit = project.experiment("wavy-pita", {"results/metrics.json": metrics()})
    for other in ("exec/EXEC_HEAD", "stash", "celery/stash", "apply/ORIG_HEAD", "temp/abc", "ab/short/name"):
        project.git("update-ref", f"refs/exps/{other}", project.head)
    found = read(project.path).experiments
    assert [(item.name, item.commit, item.base) for item in found] == [("wavy-pita", commit, project.head)]
    assert found[0].metrics["verdict"] == "progress" and found[0].stamp.author == "Ada Lovelace"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a": "b"}, "has no results/metrics.json"),
        ({"results/metrics.json": "{"}, "damaged"),
        ({"results/metrics.json": "[1]"}, "no mapping"),
    ],
)
def test_an_experiment_without_numbers_says_so(project, files, problem):
    project.experiment("e", files)
    (found,) = read(project.path).experiments
    assert found.metrics == {} and problem in found.problem


def test_tags_that_do_not_verify_are_kept_apart(two_strategies):
    project = two_strategies
    project.git("tag", "strategy/light")
    project.git("tag", "-a", "-m", "by hand", "strategy/hand")
    message = project.git("for-each-ref", "--format=%(contents)", "refs/tags/strategy/adam") + "\n"
    project.git("tag", "-a", "--cleanup=verbatim", "-F", "-", "strategy/copy", "strategy/adam^{}", stdin=message)
    project.git("tag", "-f", "-a", "--cleanup=verbatim", "-F", "-", "strategy/adam", "HEAD", stdin=message)
    edited = project.git("for-each-ref", "--format=%(contents)", "refs/tags/strategy/cosine").replace(
        "0.9712", "0.9912"
    )
    project.git("tag", "-f", "-a", "-m", edited, "strategy/cosine", "strategy/cosine^{}")
    state = fold(read(project.path).tags)
    assert not state.strategies
    problems = {tag.name: tag.problem for tag in state.unverifiable}
    assert "points at" in problems["strategy/adam"]
    assert "edited, or belongs" in problems["strategy/copy"] and "edited" in problems["strategy/cosine"]
    assert "no evidence" in problems["strategy/light"] and "no evidence" in problems["strategy/hand"]


def tag(event, sha="o") -> Tag:
    return Tag(tag_of(event), sha, event.commit, Stamp(), event)


def history() -> list[Tag]:
    a, b, c = ("a" * 40, "b" * 40, "c" * 40)
    return [
        tag(accepted(a, "a", 1), "A"),
        tag(accepted(b, "b", 2, baseline="strategy/a"), "B"),
        tag(Revoked(name="b", sequence=3, commit=b, why="leak", strategy="B", baseline="strategy/a")),
        tag(Rejected(name="x", sequence=3, commit=c, why="no gain")),
        tag(accepted(c, "c", 5, baseline="strategy/a"), "C"),
        tag(
            Rescored(
                name="c",
                sequence=6,
                commit=c,
                metric="f1",
                metric_version="f1-1.0",
                predictions="p",
                ruler="f" * 40,
                score=Score(10, 0.9),
            )
        ),
        Tag("strategy/bad", "", "", Stamp(), None, "edited"),
    ]


@settings(max_examples=50, deadline=None)
@given(st.randoms())
def test_the_state_does_not_depend_on_the_order_of_reading(shuffler: random.Random):
    tags = history()
    shuffler.shuffle(tags)
    assert fold(tags) == fold(history())


def test_a_state_after_a_revocation():
    state = fold(history())
    assert list(state.strategies) == ["a", "b", "c"] and state.sequence == 6
    assert state.current is not None and state.current.accepted.name == "c"
    assert state.strategies["b"].revoked is not None and state.strategies["a"].revoked is None
    assert state.strategies["c"].rescored["f1-1.0"].score.mean == 0.9
    without_c = fold([item for item in history() if not item.name.endswith(("/c", "f1-1.0"))])
    assert without_c.current is not None and without_c.current.accepted.name == "a"


def test_a_revocation_of_another_tag_of_that_name_is_not_one():
    first, second, third, *_ = history()
    assert third.event is not None
    other = tag(msgspec.structs.replace(third.event, strategy="B2"))
    state = fold([first, second, other])
    assert state.strategies["b"].revoked is None
    assert [item.name for item in state.unverifiable] == ["revoked/b"]


def test_what_changed_is_named_with_its_section(project):
    base = project.head
    new = PARAMS.replace("lr: 0.001 ", "lr: 0.01 ").replace("schedule: constant", "schedule: cosine  # slow")
    first = project.experiment("one", {"params.yaml": new, "docs/new file.py": "x", "results/metrics.json": metrics()})
    second = project.experiment("same", {"results/metrics.json": metrics()})
    with reading(project.path) as batch:
        found = changes(project.path, [(base, first), (base, second), ("f" * 40, first + "0")], batch)
    assert {commit: str(each) for commit, each in found.items()} == {
        first: "lr 0.001 → 0.01 · train.schedule constant → cosine · 2 changes bundled",
        second: "no difference",
    }


def test_refs_are_peeled(two_strategies):
    found = {ref.name: ref for ref in refs(two_strategies.path)}
    adam = found["refs/tags/strategy/adam"]
    assert adam.kind == "tag" and adam.peeled == two_strategies.git("rev-parse", "strategy/adam^{commit}")
    assert found["refs/heads/main"].peeled == found["refs/heads/main"].object


def test_reading_costs_a_fixed_number_of_processes(project, monkeypatch):
    """However many experiments there are."""
    for number in range(5):
        project.experiment(f"e{number}", {"results/metrics.json": metrics()})
    started = []
    original = subprocess.Popen.__init__
    monkeypatch.setattr(
        subprocess.Popen,
        "__init__",
        lambda self, args, *rest, **more: (started.append(args), original(self, args, *rest, **more))[1],
    )
    assert len(read(project.path).experiments) == 5
    few = len(started)
    for number in range(5, 40):
        project.experiment(f"e{number}", {"results/metrics.json": metrics(version=VERSION)})
    started.clear()
    assert len(read(project.path).experiments) == 40
    assert len(started) == few <= 3
