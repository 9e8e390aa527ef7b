"""`assay compare` on the records of a real Git repository: which sides, which rulers, what is refused."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

VERSION = "accuracy-1.5f3c9a2e"
HEADER = "arm,strategy,replicate,seed,status,metric_version,profile,environment,direction,min_effect,execution,"
ENVIRONMENT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def git(*arguments):
    named = ["-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *named, *arguments], check=True, capture_output=True, env=os.environ | ENVIRONMENT)
    return done.stdout.decode().strip()


def rows(arm, strategy, values, seed=0, version=VERSION, profile="full", environment="torch 2; cpu"):
    common = f"{version},{profile},{environment},maximize,0.002,sequential"
    return [f"{arm},{strategy},{i},{seed + i},ok,{common},{value:.5f}" for i, value in enumerate(values)]


def record(lines, schema=1, message="run"):
    Path("results").mkdir(exist_ok=True)
    Path("results/replicates.csv").write_text("\n".join([HEADER + "accuracy", *lines]) + "\n")
    Path("results/metrics.json").write_text(json.dumps({"schema": schema, "accuracy": 0.9}))
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", message)
    return git("rev-parse", "HEAD")


@pytest.fixture
def repository(here):
    git("init", "--quiet")
    rng = np.random.default_rng(3)
    first, better = rng.normal(0.96, 0.004, 5), rng.normal(0.975, 0.004, 5)
    floor = [f"floor,majority,,,ok,{VERSION},full,,maximize,0.002,,0.10000"]
    git("commit", "--quiet", "--allow-empty", "--message", "empty")
    git("tag", "empty")
    record([*rows("candidate", "candidate", first, 10), *floor], message="first")
    git("tag", "strategy/first")
    record([*rows("candidate", "candidate", better, 20), *rows("baseline", "strategy/first", first, 30), *floor])
    git("update-ref", "refs/exps/ab/cdef0123/tidal-lynx", "HEAD")
    git("reset", "--quiet", "--hard", "HEAD^")
    return here


def test_the_baseline_defaults_to_the_recorded_one(repository, assay):
    code, out, err = assay("tidal-lynx")
    assert (code, err) == (0, "")
    assert out.startswith("progress   accuracy 0.97")
    assert "vs strategy/first 0.95" in out
    assert f"· {VERSION}" in out
    assert "already given" not in out


def test_earlier_verdicts_against_the_same_baseline_are_counted(repository, assay):
    rng = np.random.default_rng(4)
    for name, seed in [("calm-owl", 50), ("dry-elk", 60)]:
        measured = rows("candidate", "candidate", rng.normal(0.96, 0.004, 5), seed)
        record([*measured, *rows("baseline", "strategy/first", rng.normal(0.96, 0.004, 5), seed + 100)])
        git("update-ref", f"refs/exps/ab/cdef0123/{name}", "HEAD")
    git("tag", "rejected/dry-elk")  # the same verdict under a second name
    git("reset", "--quiet", "--hard", "strategy/first")
    assert "2 verdict(s) were already given against this baseline" in assay("tidal-lynx")[1]
    assert json.loads(assay("calm-owl", "--json")[1])["comparisons"] == 2


def test_what_nobody_looked_at_is_not_on_the_account_and_passes_no_gate(repository, assay):
    """An experiment's own verdict is a look; its test, its level or another pair are none. Nothing is written."""
    code, out, _ = assay("tidal-lynx")
    assert code == 0 and "96% CI" in out and "not on the account" not in out, "at the level of a first look"
    others = (["tidal-lynx", "--test", "student"], ["tidal-lynx", "--alpha", "0.04"], ["tidal-lynx", "--fixed", "0.5"])
    for arguments in (*others, ["HEAD", "tidal-lynx"]):
        code, out, err = assay(*arguments, "--require", "progress")
        assert code == 5 and "not on the account: " in out and err.startswith("assay: not on the account"), arguments
        assert len(err.splitlines()) == 1 and "next: dvc exp run" in err
        assert json.loads(assay(*arguments, "--json")[1])["off_account"].startswith("not on the account")
        assert assay(*arguments)[0] == 0
    assert git("for-each-ref", "refs/assay") == ""


def test_without_a_baseline_arm_it_is_the_best_floor(repository, assay):
    assert "vs floor majority 0.1000 (fixed)" in assay("HEAD")[1]


def test_the_strategy_it_was_measured_against_is_taken_from_its_own_record(repository, assay):
    """There it has seeds of its own and today's ruler; the strategy's own record may share the candidate's seeds."""
    assert assay("strategy/first", "tidal-lynx")[1] == assay("tidal-lynx")[1]


def test_replicates_made_in_different_ways_are_told_for_the_arm_that_has_them(repository, assay):
    """In every form of the report. Arms that differ from each other, each of one kind, are no word worth."""
    mixed, other = rows("candidate", "candidate", [0.95, 0.951, 0.949], 70), rows("baseline", "old", [0.95, 0.96], 80)
    record([*mixed, *(row.replace(",sequential,", ",fused,") for row in other)])
    assert "different ways" not in assay("HEAD")[1]
    record([mixed[0].replace(",sequential,", ",processes,"), *mixed[1:], *other])
    assert "different ways" not in assay("HEAD")[1], "one after another, whichever process does it"
    record([mixed[0].replace(",sequential,", ",fused,"), *mixed[1:], *other])
    line = "caution: candidate: replicates made in different ways: 1 fused, 2 sequential"
    for form in ((), ("--markdown",)):
        said = assay("HEAD", *form)[1]
        assert line in said and said.count("different ways") == 1
    assert line.removeprefix("caution: ") in json.loads(assay("HEAD", "--json")[1])["warnings"]
    named = assay("HEAD", "tidal-lynx")[1]
    assert "caution: baseline: replicates made in different ways: 1 fused, 2 sequential" in named


def test_a_subfolder_of_the_project_is_the_project(repository, assay, monkeypatch):
    Path("dvc.yaml").touch()
    Path("notes").mkdir()
    monkeypatch.chdir("notes")
    assert assay("tidal-lynx")[1].startswith("progress")


def test_two_revisions(repository, assay):
    record(rows("candidate", "candidate", [0.95, 0.951, 0.949, 0.95], 70))
    code, out, _ = assay("HEAD", "tidal-lynx", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["min_effect"]) == (0, "progress", 0.002)
    assert (found["baseline"]["n"], found["baseline"]["name"]) == (4, "HEAD")
    assert git("status", "--porcelain") == ""


def test_the_record_as_a_file_is_the_same_record(repository, assay):
    git("checkout", "--quiet", git("rev-parse", "refs/exps/ab/cdef0123/tidal-lynx"))
    assert "vs strategy/first" in assay("results/replicates.csv")[1]


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("metric_version", {"version": "accuracy-2.00000000"}),
        ("profile", {"profile": "fast"}),
        ("environment", {"environment": "torch 3; cpu"}),
    ],
)
def test_another_ruler_is_refused(repository, assay, field, changed):
    base = git("rev-parse", "HEAD")
    record(rows("candidate", "candidate", [0.9, 0.91, 0.92], 50, **changed))
    code, out, err = assay("strategy/first", "HEAD", "--require", "progress")
    assert (code, out) == (3, "")
    assert f"{field}: " in err
    assert f"next: git switch --detach HEAD && dvc exp run -S baseline={base}" in err
    code, out, err = assay("HEAD", "tidal-lynx", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], list(found["differing"])) == (3, "incomparable", [field])
    assert "dvc exp apply tidal-lynx && dvc exp run -S baseline=" in found["next"]


def test_every_differing_field_is_named(repository, assay):
    record(rows("candidate", "candidate", [0.9, 0.91], 50, "accuracy-2.00000000", "fast", "mps"))
    code, _, err = assay("strategy/first", "HEAD")
    assert code == 3
    assert all(field in err for field in ["metric_version:", "profile: full against fast", "environment:"])


def test_mixed_replicates_make_no_group(repository, assay):
    mixed = rows("candidate", "candidate", [0.9, 0.91], 50) + rows("candidate", "x", [0.92], 60, profile="fast")
    record(mixed)
    code, _, err = assay("HEAD")
    assert (code, "replicates of HEAD cannot be compared: profile: full against fast" in err) == (3, True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "there is no file, revision or experiment 'nowhere'"),
        ("tidal-lnyx", "tidal-lynx"),
        ("empty", "has no results/replicates.csv"),
        ("-x", "No such option"),
        ("--all", "No such option"),
    ],
)
def test_unknown_revisions(repository, assay, name, said):
    code, out, err = assay(name)
    assert (code, out) == (2, "")
    assert said in err


def test_a_newer_schema_is_named(repository, assay):
    record(rows("candidate", "candidate", [0.9, 0.91], 50), schema=9)
    code, _, err = assay("HEAD")
    assert (code, "has schema 9; allowed: schema 1" in err) == (2, True)


def test_the_direction_cannot_be_turned(repository, assay):
    assert "records maximize" in assay("tidal-lynx", "--direction", "minimize")[2]


def test_two_experiments_of_one_name(repository, assay):
    git("update-ref", "refs/exps/ff/cdef0123/tidal-lynx", "empty")
    assert "2 experiments are called 'tidal-lynx'" in assay("tidal-lynx")[2]
