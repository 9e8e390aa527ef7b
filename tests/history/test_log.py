"""`assay log`: order, versions kept apart, four formats; what it must survive."""

# ruff: noqa: E501
from __future__ import annotations

import csv
import io
import json

from gitproject import PARAMS, accepted, metrics

from assay.tags.strategy_events import Attempted, RecordedComparison, Rescored, Score, Seeds

GOLDEN = """\
accuracy-1.5f3c9a2e
name             date        author        changed                 metric          delta [interval]             n  test    state
---------------  ----------  ------------  ----------------------  --------------  -------------------------  ---  ------  --------
strategy/cosine  2024-05-06  Ada Lovelace  train.schedule: cosine  0.9712 ±0.0040  +0.0112 [+0.0069, +0.0155]   10  0.9698  baseline
strategy/adam    2024-05-06  Ada Lovelace  lr: 0.0003              0.9712 ±0.0040  +0.0112 [+0.0069, +0.0155]   10  0.9698  accepted
"""


def squeeze(text: str) -> list[list[str]]:
    """Words of each line: columns may be as wide as they like."""
    return [line.split() for line in text.splitlines() if set(line) - set("- ")]


def dated(project) -> None:
    """Both tags again, with a day that does not move."""
    when = {"GIT_COMMITTER_DATE": "2024-05-06T12:00:00+0200"}
    for name, event in (
        ("adam", accepted(project.git("rev-parse", "strategy/adam^{}"))),
        (
            "cosine",
            accepted(
                project.git("rev-parse", "strategy/cosine^{}"),
                "cosine",
                2,
                baseline="strategy/adam",
                changed=["train.schedule: cosine"],
            ),
        ),
    ):
        project.git("tag", "-d", f"strategy/{name}")
        project.git_environment = when
        project.tag(event)
        project.git_environment = {}


def test_text(two_strategies, capsys):
    dated(two_strategies)
    assert two_strategies.assay("log") == 0
    assert squeeze(capsys.readouterr().out) == squeeze(GOLDEN)


def test_nothing_accepted_yet(project, capsys):
    assert project.assay("log") == 0
    assert capsys.readouterr().out == "no strategy accepted yet; next: assay accept EXPERIMENT NAME\n"


def rows(project, capsys, *options: str) -> list[dict]:
    assert project.assay("log", "--json", *options) == 0
    return json.loads(capsys.readouterr().out)["rows"]


def test_order_is_the_counters_and_not_the_clocks(two_strategies, capsys):
    project = two_strategies
    third = project.commit(message="Accept late")
    project.git_environment = {"GIT_COMMITTER_DATE": "2001-01-01T00:00:00+0000"}
    project.tag(accepted(third, "late", 3, baseline="strategy/cosine"))
    assert [row["name"] for row in rows(project, capsys)] == ["late", "cosine", "adam"]


def test_rows_of_different_metric_versions_never_share_a_table(two_strategies, capsys):
    project = two_strategies
    third = project.commit(message="Accept f1")
    project.tag(accepted(third, "f1", 3, metric_version="accuracy-2.0badcafe"))
    assert project.assay("log") == 0
    blocks = capsys.readouterr().out.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == ["accuracy-2.0badcafe", "accuracy-1.5f3c9a2e"]
    assert "strategy/f1" in blocks[0] and "strategy/adam" not in blocks[0]
    assert project.assay("log", "--markdown") == 0
    assert capsys.readouterr().out.count("### accuracy-") == 2


def test_a_rescored_strategy_shows_both_numbers(two_strategies, capsys):
    project = two_strategies
    commit = project.git("rev-parse", "strategy/adam^{}")
    version = "accuracy-2.0badcafe"
    project.tag(
        Rescored(
            name="adam",
            sequence=3,
            commit=commit,
            metric="accuracy",
            metric_version=version,
            predictions="abc",
            ruler="f" * 40,
            score=Score(10, 0.5),
        )
    )
    adam = rows(project, capsys)[1]
    assert adam["mean"] == 0.9712 and adam["rescored"] == {version: 0.5}
    project.assay("log")
    assert f"0.9712 ±0.0040; 0.5000 under {version}" in capsys.readouterr().out


def test_csv_reads_back(two_strategies, capsys):
    two_strategies.assay("log", "--csv")
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in found] == ["cosine", "adam"]
    assert float(found[0]["delta"]) == 0.0112 and found[0]["changed"] == "train.schedule: cosine"


def test_all_adds_rejections_attempts_and_experiments_of_every_baseline(two_strategies, capsys):
    project = two_strategies
    old = project.git("rev-parse", "strategy/adam^{}")
    project.experiment("early", {"results/metrics.json": metrics(verdict="equivalent")}, base=old)
    changed = {"params.yaml": PARAMS.replace("lr: 0.001 ", "lr: 0.1 ").replace("floor ", "strategy/cosine ")}
    project.experiment("late", {"results/metrics.json": metrics(), **changed})
    project.experiment("broken", {"results/metrics.json": "{"})
    assert project.assay("reject", "late", "--why", "too slow") == 0
    comparison = RecordedComparison("inconclusive", Score(10, 0.97), Score(10, 0.97), 0.0, alpha=0.0125)
    project.tag(
        Attempted(
            name="early",
            sequence=4,
            commit=old,
            metric_version="accuracy-1.5f3c9a2e",
            identity="i",
            experiment_commit=old,
            confirmation=comparison,
            attempts=1,
            seeds=Seeds(1, "confirmation", 10, 60000, 70000),
        )
    )
    capsys.readouterr()
    assert [row["kind"] for row in rows(project, capsys)] == ["strategy", "strategy"]
    found = {(row["kind"], row["name"]): row for row in rows(project, capsys, "--all")}
    assert list(found)[:4] == [("attempt", "early"), ("rejected", "late"), ("strategy", "cosine"), ("strategy", "adam")]
    assert found["rejected", "late"]["state"] == "rejected: too slow"
    assert found["rejected", "late"]["changed"] == "lr 0.001 → 0.1"
    assert found["attempt", "early"]["state"] == "not confirmed (attempt 1): inconclusive"
    assert found["experiment", "early"]["state"] == "equivalent" and found["experiment", "late"]["delta"] == 0.01
    assert found["experiment", "late"]["baseline"] == "strategy/cosine"
    assert found["experiment", "broken"]["state"].startswith("no verdict: its results/metrics.json is damaged")


def test_what_cannot_be_verified_stands_first_and_without_numbers(two_strategies, capsys):
    project = two_strategies
    message = project.git("for-each-ref", "--format=%(contents)", "refs/tags/strategy/adam").replace("0.9712", "0.9999")
    project.git("tag", "-f", "-a", "-m", message, "strategy/adam", "strategy/adam^{}")
    first = rows(project, capsys)[0]
    assert first["name"] == "adam" and first["state"].startswith("not verifiable: its message was edited")
    assert first["mean"] is None and first["delta"] is None and first["test"] is None


def test_names_cannot_move_the_cursor_or_break_a_table(two_strategies, capsys):
    project = two_strategies
    project.experiment("e", {"results/metrics.json": metrics()})
    assert project.assay("reject", "e", "--why", "a | b\n\x1b[2J gone") == 0
    capsys.readouterr()
    project.assay("log", "--all", "--markdown")
    out = capsys.readouterr().out
    assert "\x1b" not in out and "a \\| b" in out
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {10}


def test_the_log_survives_a_params_file_that_does_not(two_strategies, capsys):
    (two_strategies.path / "params.yaml").write_text("lr: [", encoding="utf-8")
    assert [row["state"] for row in rows(two_strategies, capsys)] == ["accepted", "accepted"]


def test_from_a_subfolder_and_inside_a_larger_repository(template, tmp_path, capsys):
    from gitproject import Project

    outer = Project(tmp_path)
    outer.git("init", "-q", "-b", "main")
    outer.git("config", "user.name", "Ada")
    outer.git("config", "user.email", "a@b.c")
    inner = Project(tmp_path / "models" / "digits")
    inner.write({"params.yaml": PARAMS, "dvc.yaml": "stages: {}\n", "src/code.py": ""})
    outer.commit()
    new = {"models/digits/results/metrics.json": metrics(), "models/digits/src/code.py": "x", "other/y": "z"}
    outer.experiment("e", new)
    (row,) = rows(Project(inner.path / "src"), capsys, "--all")
    assert row["changed"] == "" and row["state"] == "progress"


def test_outside_of_a_project(tmp_path, capsys):
    from gitproject import Project

    empty = Project(tmp_path)
    assert empty.assay("log") == 2
    assert "no dvc.yaml in" in capsys.readouterr().err
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    assert empty.assay("log") == 2
    assert "is in no Git repository" in capsys.readouterr().err
    empty.git("init", "-q")
    assert empty.assay("log") == 2
    assert "has no commit yet; next: git add" in capsys.readouterr().err
