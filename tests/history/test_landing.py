"""Landing: commit, tag and branch together or not at all; the work tree follows without losing anything."""

from __future__ import annotations

import subprocess

import pytest
from gitproject import PARAMS, Project, accepted, metrics

from assay.acceptance import acceptance_transaction
from assay.acceptance.acceptance_transaction import Message
from assay.acceptance.merge_commit import merge
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.tags.trailers import parse_event

NEW = {"params.yaml": PARAMS.replace("lr: 0.001 ", "lr: 0.01 "), "results/metrics.json": metrics()}


@pytest.fixture
def tried(project: Project) -> str:
    return project.experiment("wavy", NEW)


def land(project: Project, tried: str, name: str = "adam"):
    head = project.head
    event = accepted("", name, experiment_commit=tried)
    brought = merge(project.path, head, tried, experiment=True)
    return acceptance_transaction.land(
        ProjectPaths(project.path), head, brought, event, Message(f"Accept {name}", "A text.")
    )


def test_tag_and_branch_move_together_and_twice_alike(project: Project, tried: str, tmp_path) -> None:
    old = project.head
    event = land(project, tried)
    raw = project.git("cat-file", "tag", "strategy/adam")
    assert parse_event("strategy/adam", event.commit, raw.partition("\n\n")[2]) == event
    assert project.git("rev-parse", "main^") == event.commit and project.git("rev-parse", "main~2") == old
    assert "baseline: strategy/adam" in project.git("show", "main:params.yaml")
    first = project.git("rev-parse", "main")
    project.git("update-ref", "refs/heads/main", old)
    project.git("tag", "-d", "strategy/adam")
    assert land(project, tried) == event, "the same commit, byte for byte, whenever it is made"
    assert project.git("rev-parse", "main") == first


def test_the_second_of_two_is_told_and_changes_nothing(project: Project, tried: str) -> None:
    """A second work tree on the same branch's commit takes the same name, or moves the branch first."""
    land(project, tried)
    before = project.git("for-each-ref")
    with pytest.raises(UsageError, match=r"strategy/adam exists|main moved meanwhile.*; next: run the command again"):
        land(project, tried)
    assert project.git("for-each-ref") == before
    head = project.head
    project.git("commit", "-q", "--allow-empty", "-m", "theirs")
    before = project.git("for-each-ref")
    brought = merge(project.path, head, tried, experiment=True)
    event = accepted("", "other", experiment_commit=tried)
    with pytest.raises(UsageError, match="main moved meanwhile"):
        acceptance_transaction.land(ProjectPaths(project.path), head, brought, event, Message("t", ""))
    assert project.git("for-each-ref") == before


def refused(project: Project, tried: str, said: str, hint: str) -> None:
    """Neither what asks beforehand nor the landing itself moves a ref, and both say `said`."""
    head, before = project.head, project.git("for-each-ref")
    brought = merge(project.path, head, tried, experiment=True)
    with pytest.raises(UsageError, match=said) as asked:
        acceptance_transaction.rehearse(ProjectPaths(project.path), head, brought, "adam", tried)
    with pytest.raises(UsageError, match=said):
        land(project, tried)
    assert asked.value.hint.startswith(hint) and project.git("for-each-ref") == before


def test_asking_whether_it_could_land_moves_nothing(project: Project, tried: str) -> None:
    before = project.git("for-each-ref")
    brought = merge(project.path, project.head, tried, experiment=True)
    acceptance_transaction.rehearse(ProjectPaths(project.path), project.head, brought, "adam", tried)
    assert project.git("for-each-ref") == before and not list((project.path / ".git").rglob("*.lock"))
    land(project, tried)


def test_what_git_would_refuse_is_asked_for_and_told_in_its_words(project: Project, tried: str) -> None:
    project.git("tag", "strategy")
    refused(project, tried, "'refs/tags/strategy' exists; cannot create 'refs/tags/strategy/adam'", "git tag old-")
    project.git("tag", "-d", "strategy")
    hook = project.path / ".git/hooks/reference-transaction"
    hook.write_text("#!/bin/sh\ncat >/dev/null\n[ $1 != prepared ] || { echo main is frozen >&2; exit 1; }\n")
    hook.chmod(0o755)
    refused(project, tried, "main is frozen", f"look at {hook}")
    hook.unlink()
    land(project, tried)


def test_a_signed_commit_is_read_like_any_other(project: Project, tried: str, tmp_path) -> None:
    """`git show` prints what a signature is worth above what it was asked for."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for name, value in {"gpg.format": "ssh", "user.signingkey": f"{key}.pub", "log.showSignature": "true"}.items():
        project.git("config", name, value)
    when = {"GIT_COMMITTER_DATE": "2001-02-03T04:05:06+0130"}
    project.git("commit", "-q", "-S", "--allow-empty", "-m", "signed", env=when)
    assert "gpgsig" in project.git("cat-file", "commit", "HEAD")
    assert acceptance_transaction.newest_date(project.path, "HEAD") == "981167706 +0130"
    project.experiment("wavy", NEW)
    land(project, tried)


def test_a_merge_takes_code_from_both_and_results_from_neither(project: Project, tried: str) -> None:
    project.commit({"src/code.py": "x = 2\n", "dvc.lock": "ours\n", "results/metrics.json": "ours\n"})
    found = merge(project.path, project.head, tried, experiment=True)
    assert found.merged and found.parents == (project.head,)
    assert "lr: 0.01 " in project.git("show", f"{found.tree}:params.yaml")
    assert project.git("show", f"{found.tree}:src/code.py") == "x = 2"
    assert project.git("show", f"{found.tree}:results/metrics.json") == "ours", "regenerated later"


def test_a_branch_becomes_a_parent_and_a_conflict_is_named(project: Project) -> None:
    project.git("switch", "-q", "-c", "feature")
    feature = project.commit({"src/code.py": "x = 5\n"})
    project.git("switch", "-q", "main")
    project.commit({"src/other.py": "y\n"})
    assert merge(project.path, project.head, feature, experiment=False).parents == (project.head, feature)
    project.commit({"src/code.py": "x = 7\n"})
    with pytest.raises(UsageError, match=r"conflicts with HEAD in src/code.py; next: git rebase"):
        merge(project.path, project.head, feature, experiment=False)
    with pytest.raises(UsageError, match="is already part of HEAD"):
        merge(project.path, project.head, project.git("rev-parse", "HEAD~1"), experiment=False)
