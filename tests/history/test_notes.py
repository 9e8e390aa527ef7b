"""Why an experiment was run, and what was learned from it: in Git, shown wherever the experiment is, shared by sync."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from gitproject import PARAMS, Project, accepted, metrics
from test_sync import clones as clones

from assay.commands.report_result import ShownResult
from assay.history import experiment_notes, experiments
from assay.runtime import append_only_ref

RESULT = "results/metrics.json"


def run(project: Project, name: str = "wide", why: str = "wider layers\nshould help") -> str:
    """An experiment as `dvc exp run -m` leaves one."""
    commit = project.experiment(name, {"params.yaml": PARAMS.replace("0.001 ", "0.02 "), RESULT: metrics()})
    tree, parent = project.git("rev-parse", f"{commit}^{{tree}}"), project.git("rev-parse", f"{commit}^")
    told = project.git("commit-tree", tree, "-p", parent, "-m", why)
    project.git("update-ref", f"refs/exps/{parent[:2]}/{parent[2:]}/{name}", told)
    return told


def test_the_message_of_dvc_is_no_reason() -> None:
    assert experiments.reason("dvc: commit experiment 0a1b2c\n") == ""
    assert experiments.reason("wider\nlayers\n\nmore of it\n") == "wider layers"


def test_reason_and_notes_are_shown(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.commit({"params.yaml": PARAMS})
    commit = run(project)
    assert project.assay("note", "wide") == 0
    assert capsys.readouterr().out == "why: wider layers should help\n"
    for text in ("the gain is in\nclass 8", "twice the time", "twice the time"):
        assert project.assay("note", "wide", text) == 0
    capsys.readouterr()
    assert project.assay("note", commit, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["text"] for one in found["notes"]] == ["the gain is in class 8", "twice the time"], "said once"
    assert found["notes"][0]["author"] == "Ada Lovelace" and found["why"] == "wider layers should help"

    project.assay("show")
    lines = capsys.readouterr().out.splitlines()
    assert "    why: wider layers should help" in lines and max(map(len, lines)) <= 100
    assert sum(line.startswith("    note: twice the time (Ada Lovelace, ") for line in lines) == 1
    project.assay("show", "--json")
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["why"] == "wider layers should help" and len(row["notes"]) == 2
    for form in ((), ("--markdown",), ("--csv",), ("--json",)):
        project.assay("log", "--all", *form)
        said = capsys.readouterr().out
        assert "wider layers should help" in said and "the gain is in class 8 (Ada Lovelace" in said
    project.assay("log")
    assert "what was learned" not in capsys.readouterr().out, "no column where nobody said anything"


def test_notes_follow_into_rejected_and_accepted(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    commit = run(project)
    project.assay("note", "wide", "luck")
    assert project.assay("reject", "wide", "--why", "no gain") == 0
    project.assay("note", "rejected/wide", "and slow")
    assert project.assay("note", "rejected/other") == 2
    capsys.readouterr()
    project.assay("log", "--all", "--json")
    rows = {row["kind"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["rejected"]["why"] == "wider layers should help" and len(rows["rejected"]["notes"]) == 2
    landed = project.commit({RESULT: metrics()}, "Accept wide")
    project.tag(accepted(landed, "wide", 3, experiment_commit=commit, why="wider layers should help"))
    project.assay("note", "strategy/wide", "confirmed anyway")
    capsys.readouterr()
    project.assay("log", "--json")
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["why"] == "wider layers should help" and "confirmed anyway" in row["notes"][-1]


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 2001])
def test_a_note_that_says_nothing_or_too_much(project: Project, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(project)
    assert project.assay("note", "wide", text) == 2
    assert "1 to 2,000 characters" in capsys.readouterr().err
    assert not project.git("for-each-ref", append_only_ref.NOTES), "refused before the first write"
    assert project.assay("note", "nobody", "x") == 2


def test_foreign_notes_cannot_move_the_cursor(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    commit = run(project, why="up \x1b[2J and away")
    experiment_notes.add(project.path, commit, "bell \x07 and \x1b[31m red", "Eve \x1b[0m")
    append_only_ref.grow(project.path, append_only_ref.NOTES, lambda _: {"aa/bb/cc.json": b"{", "x": b"[]"})
    for command in (("show",), ("log", "--all"), ("note", "wide")):
        assert project.assay(*command) == 0
        said = capsys.readouterr().out
        assert "\x1b" not in said and "\x07" not in said and "red" in said
    assert experiment_notes.damaged(project.path) == 2


def test_sync_shares_notes(clones: tuple[Project, Project], capsys: pytest.CaptureFixture[str]) -> None:
    one, two = clones
    commit = one.head
    experiment_notes.add(one.path, commit, "first", "Ada")
    experiment_notes.add(two.path, commit, "second", "Bob")
    for project in (one, two, one):
        assert project.assay("sync") == 0
    told = [[note.text for note in experiment_notes.read(each.path)[commit]] for each in clones]
    assert told[0] == told[1] == ["first", "second"]


def test_a_report_says_them(project: Project) -> None:
    commit = run(project)
    experiment_notes.add(project.path, commit, "luck", "Ada")
    side: Any = SimpleNamespace(commit=commit, experiment=True)
    found: Any = SimpleNamespace(kept=lambda path: None)
    told = ShownResult(project.path, "wide", side, found, {}).told
    assert told[0] == "why: wider layers should help" and told[1].startswith("note: luck (Ada, ") and len(told) == 2
    work_tree: Any = SimpleNamespace(commit="", experiment=False)
    assert ShownResult(project.path, "", work_tree, found, {}).told == []
