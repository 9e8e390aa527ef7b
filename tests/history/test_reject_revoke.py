"""`assay reject` and `assay revoke`: events that travel, a baseline that moves back, refusals."""

from __future__ import annotations

import subprocess

import pytest
from gitproject import PARAMS, Project, accepted, metrics

from assay.baseline import baseline_param
from assay.core.errors import UsageError
from assay.history.experiments import read
from assay.history.strategy_status import fold


def state(project: Project):
    return fold(read(project.path).tags)


def test_a_rejected_idea_keeps_its_verdict_and_travels(project, tmp_path, capsys):
    commit = project.experiment("wavy-pita", {"results/metrics.json": metrics(verdict="regression", delta=-0.02)})
    assert project.assay("reject", "wavy-pita", "--why", "  worse by two points ") == 0
    assert "wrote the tag rejected/wavy-pita; next: git push" in capsys.readouterr().out
    bare, clone = tmp_path / "bare.git", tmp_path / "clone"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    project.git("remote", "add", "origin", str(bare))
    project.git("push", "-q", "origin", "main", "--tags")
    subprocess.run(["git", "clone", "-q", "-b", "main", bare, clone], check=True)
    (tag,) = state(Project(clone)).rejected.values()
    event = tag.event
    assert event.why == "worse by two points" and event.measured.verdict == "regression"
    assert event.measured.delta == -0.02 and event.commit == commit and event.metric == "accuracy"
    assert Project(clone).git("show", f"{event.commit}:results/metrics.json")


def test_a_commit_that_is_no_experiment_can_be_rejected(project):
    commit = project.commit({"results/metrics.json": metrics(verdict="regression")})
    assert project.assay("reject", commit, "--why", "no") == 0
    assert list(state(project).rejected) == [commit[:12]]


def test_only_an_experiment_a_branch_and_a_full_hash_are_an_idea(project, capsys):
    """Every other expression means another commit tomorrow, or, like a stash, never was one."""
    first = project.head
    project.git("tag", "-a", "-m", "t", "annotated")
    commit = project.commit({"results/metrics.json": metrics()})
    project.experiment("e", {"results/metrics.json": metrics()})
    project.git("branch", "feature/x")
    project.git("switch", "-q", "-c", "other")
    project.git("switch", "-q", "main")
    project.write({"params.yaml": PARAMS + "# more\n"})
    project.git("stash")
    tag = project.git("rev-parse", "annotated")
    for name in (
        "HEAD",
        "@",
        "@{-1}",
        "main@{0}",
        "main~1",
        "stash",
        "annotated",
        tag,
        commit[:12],
        "heads/main",
        "HEAD^0",
    ):
        for command in (["reject", name, "--why", "x"], ["accept", name, "new", "--dry-run"]):
            assert project.assay(*command) == 2
            said = capsys.readouterr().err
            meant = project.git("rev-parse", f"{name}^{{commit}}")
            assert f"{name!r} is no experiment, no local branch and no full commit hash; allowed: e; next:" in said
            assert said.endswith(f"the commit that it means now: {meant}\n") and len(said.splitlines()) == 1
    assert not state(project).rejected
    for name in (first, "feature/x"):
        assert project.assay("reject", name, "--why", "x") == 0


@pytest.mark.parametrize(
    "name", ["HEAD", "head", "FETCH_HEAD", "floor", "CON", "nul", "nul.v2", "COM1", "f" * 40, "0" * 64]
)
def test_a_name_that_means_something_else_is_refused(project, capsys, name):
    commit = project.experiment(name, {"results/metrics.json": metrics()})
    for command in (["accept", commit, name], ["reject", commit, "--why", "x"]):
        assert project.assay(*command) == 2
        assert f"{name!r} is not a name for a strategy: it means " in capsys.readouterr().err


def test_tags_are_unsigned_whatever_git_is_told_to_sign(two_strategies, capsys):
    for key, value in {"tag.gpgSign": "true", "tag.forceSignAnnotated": "true", "gpg.program": "false"}.items():
        two_strategies.git("config", key, value)
    two_strategies.experiment("wavy", {"results/metrics.json": metrics()})
    assert two_strategies.assay("reject", "wavy", "--why", "x") == 0
    assert two_strategies.assay("revoke", "cosine", "--why", "x") == 0
    two_strategies.git("config", "column.ui", "always")
    assert sorted(state(two_strategies).rejected) == ["wavy"]


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["reject", "wavy", "--why", "x"], "there is no experiment 'wavy'; allowed: wavy-pita", 2),
        (["reject", "--why", "x", "--", "-n"], "there is no experiment '-n'", 2),
        (["reject", "a\nb", "--why", "x"], "there is no experiment 'a\\nb'", 2),
        (["reject", "wavy-pita", "--why", " "], "--why is empty", 2),
        (["reject", "wavy-pita"], "Missing option '--why'", 2),
        (["revoke", "wavy-pita", "--why", "x"], "there is no strategy 'wavy-pita'; allowed: none", 2),
        (["revoke", "a..b", "--why", "x"], "'a..b' is not a name for a strategy", 2),
        (["revoke", "--why", "x", "--", "--x"], "'--x' is not a name for a strategy", 2),
    ],
)
def test_refusals_change_nothing(project, capsys, arguments, said, code):
    project.experiment("wavy-pita", {"results/metrics.json": metrics()})
    before = project.git("for-each-ref")
    assert project.assay(*arguments) == code
    assert said in capsys.readouterr().err
    assert project.git("for-each-ref") == before


def test_what_exists_is_not_overwritten(project, capsys):
    project.experiment("wavy", {"results/metrics.json": metrics()})
    project.experiment("WAVY", {"results/metrics.json": metrics(0.5)})
    assert project.assay("reject", "wavy", "--why", "x") == 0
    for again in ("wavy", "WAVY"):
        assert project.assay("reject", again, "--why", "x") == 2
        assert "the tag rejected/wavy exists" in capsys.readouterr().err


def test_two_experiments_of_one_name_are_told_apart_by_hash(project, capsys):
    first = project.experiment("same", {"results/metrics.json": metrics()})
    project.commit()
    project.experiment("same", {"results/metrics.json": metrics(0.5)})
    assert project.assay("reject", "same", "--why", "x") == 2
    said = capsys.readouterr().err
    assert "2 experiments are called 'same'; allowed: " in said and first in said
    assert project.assay("reject", first, "--why", "x") == 0


def test_without_an_identity(project, capsys, monkeypatch):
    project.experiment("e", {"results/metrics.json": metrics()})
    project.git("config", "--unset", "user.name")
    project.git("config", "--unset", "user.email")
    project.git("config", "user.useConfigOnly", "true")
    assert project.assay("reject", "e", "--why", "x") == 2
    assert "Git has no user name and e-mail address; next: git config user.name" in capsys.readouterr().err


def test_revoking_moves_the_baseline_back_and_nothing_else(two_strategies, capsys):
    project = two_strategies
    project.write({"src/code.py": "x = 2\n", "staged": "s"})
    project.git("add", "staged")
    text = (project.path / "params.yaml").read_text().replace("lr: 0.001 ", "lr: 0.5   ")
    project.write({"params.yaml": text})
    assert project.assay("revoke", "cosine", "--why", "the test part had leaked") == 0
    assert "moved the baseline back to strategy/adam" in capsys.readouterr().out
    assert project.git("show", "--name-only", "--format=%s", "HEAD").split("\n\n") == [
        "Move the baseline back to strategy/adam",
        "params.yaml",
    ]
    assert (
        project.git("show", "HEAD:params.yaml")
        == PARAMS.replace("baseline: floor    ", "baseline: strategy/adam      ").strip()
    )
    assert project.git("status", "--porcelain").splitlines() == ["M params.yaml", " M src/code.py", "A  staged"]
    now = (project.path / "params.yaml").read_text()
    assert "lr: 0.5 " in now and "baseline: strategy/adam      # floor" in now
    after = state(project)
    assert after.current.accepted.name == "adam" and list(after.strategies) == ["adam", "cosine"]
    project.assay("log")
    out = capsys.readouterr().out
    assert "revoked/cosine" in out and "back to strategy/adam: the test part had leaked" in out


def test_revoking_what_is_not_the_baseline_leaves_the_baseline(two_strategies, capsys):
    before = two_strategies.head
    assert two_strategies.assay("revoke", "strategy/adam", "--why", "x") == 0
    assert two_strategies.head == before and "moved" not in capsys.readouterr().out
    assert two_strategies.assay("revoke", "cosine", "--why", "y") == 0
    assert "back to floor" in capsys.readouterr().out, "adam is revoked, too"
    assert baseline_param.at(two_strategies.path, "HEAD") == "floor"


def test_an_interrupted_revocation_is_finished_by_the_same_command(two_strategies, monkeypatch, capsys):
    project = two_strategies

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(baseline_param, "commit_file", killed)
        assert project.assay("revoke", "cosine", "--why", "x") == 130
    tag = project.git("rev-parse", "revoked/cosine")
    assert baseline_param.at(project.path, "HEAD") == "strategy/cosine"
    assert project.assay("revoke", "cosine", "--why", "x") == 0
    assert (
        baseline_param.at(project.path, "HEAD") == "strategy/adam" and project.git("rev-parse", "revoked/cosine") == tag
    )
    capsys.readouterr()
    assert project.assay("revoke", "cosine", "--why", "x") == 2
    assert "the tag revoked/cosine exists" in capsys.readouterr().err


def test_a_detached_head_is_refused_before_anything_is_written(two_strategies, capsys):
    two_strategies.git("switch", "-q", "--detach")
    assert two_strategies.assay("revoke", "cosine", "--why", "x") == 4
    assert "HEAD is detached" in capsys.readouterr().err
    assert "revoked/" not in two_strategies.git("tag")


def test_a_strategy_that_is_not_verifiable_cannot_be_revoked(two_strategies, capsys):
    two_strategies.git("tag", "-f", "-a", "-m", "mine", "strategy/adam", "HEAD")
    assert two_strategies.assay("revoke", "adam", "--why", "x") == 3
    assert "tag strategy/adam is not verifiable" in capsys.readouterr().err


def test_a_second_worktree_that_moves_the_branch_loses_nothing(two_strategies, monkeypatch, capsys):
    """Between reading and moving, somebody else commits."""
    project = two_strategies
    from assay.runtime import commit_one_file

    real = commit_one_file.tree_with

    def raced(*arguments):
        tree = real(*arguments)
        project.git("commit", "-q", "--allow-empty", "-m", "Theirs")
        return tree

    monkeypatch.setattr(commit_one_file, "tree_with", raced)
    assert project.assay("revoke", "cosine", "--why", "x") == 2
    assert "main moved meanwhile; next: run the command again" in capsys.readouterr().err
    monkeypatch.undo()
    assert project.git("log", "-1", "--format=%s") == "Theirs"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("lr: 1\nbaseline: floor\n", "lr: 1\nbaseline: strategy/a\n"),
        (
            "baseline: floor          # which\nx: {baseline: b}\n",
            "baseline: strategy/a     # which\nx: {baseline: b}\n",
        ),
        ("baseline: floor # which\n", "baseline: strategy/a # which\n"),
        ("a:\n  baseline: no\nbaseline:   floor\r\nb: 1\r\n", "a:\n  baseline: no\nbaseline:   strategy/a\r\nb: 1\r\n"),
        ("baseline: floor", "baseline: strategy/a"),
    ],
)
def test_only_the_line_changes(before, after):
    assert baseline_param.repointed(before.encode(), "strategy/a").decode() == after


@pytest.mark.parametrize("content", ["lr: 1\n", "{baseline: floor}\n", "baseline: 'floor x'\n", "baseline:\n  floor\n"])
def test_a_line_that_cannot_be_changed_safely_is_refused(content):
    with pytest.raises(UsageError, match="next: write the line `baseline: strategy/a`"):
        baseline_param.repointed(content.encode(), "strategy/a")


def test_accepted_is_used(project):
    project.tag(accepted(project.head))
    assert state(project).current.tag.name == "strategy/adam"


def test_nothing_is_revoked_where_params_yaml_is_broken(two_strategies, capsys):
    """The tag would stand, and the baseline with it."""
    project, before = two_strategies, two_strategies.git("for-each-ref")
    good = (project.path / "params.yaml").read_text()
    for broken in ("lr: [\n", "lr: !!int x\n" + good, "{baseline: strategy/cosine}\n", "\udcff" + good, ""):
        (project.path / "params.yaml").write_bytes(broken.encode("utf-8", "surrogateescape"))
        assert project.assay("revoke", "cosine", "--why", "x") == 2
        said = capsys.readouterr().err
        assert said.startswith("assay: params.yaml ") and "Traceback" not in said and "; next: " in said, said
        assert project.git("for-each-ref") == before
    (project.path / "params.yaml").write_text(good)
    assert project.assay("revoke", "cosine", "--why", "x") == 0
