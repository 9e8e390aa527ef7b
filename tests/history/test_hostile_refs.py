"""One ref that somebody pushed must not keep everybody else from working."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from gitproject import Project, accepted, metrics

from assay.tags.trailers import _checksum, format_event

Plant = Callable[[Project], None]


def _tag(project: Project, name: str, message: bytes, when: str = "1700000000") -> None:
    """A tag object as no `git tag` would write it."""
    head = f"object {project.head}\ntype commit\ntag {name}\ntagger Eve <eve@example.org> {when} +0000\n\n".encode()
    command = ["git", "-C", str(project.path), "hash-object", "-t", "tag", "-w", "--literally", "--stdin"]
    made = subprocess.run(command, input=head + message, capture_output=True, check=True).stdout.decode().strip()
    project.git("update-ref", f"refs/tags/{name}", made)


def _sealed(project: Project, name: str, old: str, new: str) -> None:
    """Evidence in which one trailer says something else, under a checksum that fits."""
    text = format_event(accepted(project.head, name, 7), name)
    body = text.rpartition("\nAssay-Checksum: ")[0].replace(old, new) + "\n"
    assert new in body
    sealed = f"{body}Assay-Checksum: {_checksum(f'strategy/{name}', body)}\n"
    _tag(project, f"strategy/{name}", sealed.encode("utf-8", "surrogateescape"))


def branches(project: Project) -> None:
    for mark in ("\u2028", "\u2029", "\u0085", "\u00a0", "\u3000"):
        project.git("update-ref", f"refs/heads/a{mark}b", "HEAD")
        project.git("update-ref", f"refs/tags/strategy/a{mark}b", "HEAD")
        project.experiment(f"x{mark}y", {"results/metrics.json": metrics()})


def undecodable_names(project: Project) -> None:
    for ref in (b"refs/heads/\xff", b"refs/tags/strategy/\xff\xfe"):
        subprocess.run([b"git", b"-C", os.fsencode(project.path), b"update-ref", ref, b"HEAD"], check=True)


def undecodable_evidence(project: Project) -> None:
    _sealed(project, "bytes", "exp-bytes", "exp-\udcff")


def deep_evidence(project: Project) -> None:
    _sealed(project, "deep", "Assay-Changed: ", "Assay-Changed: " + "[" * 100_000)


def huge_numbers_in_evidence(project: Project) -> None:
    _sealed(project, "huge", "Assay-Sequence: 7", f"Assay-Sequence: {'9' * 400}")
    _sealed(project, "longer", "Assay-Attempts: 1", f"Assay-Attempts: {'9' * 5000}")
    _sealed(project, "far", "Assay-Test-Mean: 0.9698", f"Assay-Test-Mean: {'9' * 400}")


def a_name_that_is_none(project: Project) -> None:
    _sealed(project, "renamed", "Assay-Name: renamed", "Assay-Name: ../../x")


def dates(project: Project) -> None:
    for name, when in (("late", "9" * 5000), ("early", "-" + "9" * 30), ("other", "١٢٣")):
        _tag(project, f"strategy/{name}", format_event(accepted(project.head, name, 8), name).encode(), when)


def numbers(project: Project) -> None:
    for name, content in (
        ("deep", "[" * 100_000),
        ("wide", '{"a":' * 5_000),
        ("huge", metrics().replace('"n": 10', f'"n": {"9" * 400}')),
        ("longer", metrics().replace('"n": 10', f'"n": {"9" * 5000}')),
        ("mean", metrics().replace('"accuracy": 0.97', f'"accuracy": {"9" * 400}')),
        ("text", '{"verdict": "\\ud800"}'),
        ("bytes", metrics().replace("progress", "\u2028")),
    ):
        project.experiment(f"bad-{name}", {"results/metrics.json": content})


def tables(project: Project) -> None:
    for name, content in (("deep", "[" * 100_000), ("none", "\\ud800"), ("huge", f'{{"a": {{"n": {"9" * 5000}}}}}')):
        blob = project.git("hash-object", "-w", "--stdin", stdin=content)
        project.git("update-ref", f"refs/assay/rescored/{name}", blob)


def ledgers(project: Project) -> None:
    """What a fetch brings under the names of the ledger: no commit, and files of it that nobody can read."""
    blob = project.git("hash-object", "-w", "--stdin", stdin="[" * 100_000)
    project.git("update-ref", "refs/assay/remotes/eve/looks", blob)
    inner = project.git("mktree", stdin=f"100644 blob {blob}\tx\u2028.json")
    tree = project.git("mktree", stdin=f"040000 tree {inner}\tab\n100644 blob {blob}\tx")
    project.git("update-ref", "refs/assay/looks", project.git("commit-tree", tree, "-m", "looks"))


PLANTS = [
    *(branches, undecodable_names, undecodable_evidence, deep_evidence, huge_numbers_in_evidence),
    *(a_name_that_is_none, dates, numbers, tables, ledgers),
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_what_somebody_pushed_blocks_nobody(two_strategies: Project, plant: Plant, capsys) -> None:
    project = two_strategies
    good = project.experiment("good", {"results/metrics.json": metrics(0.981, "inconclusive")})
    plant(project)
    for command in (["status"], ["log", "--all"], ["log", "--all", "--csv"], ["status", "--json"], ["log", "--json"]):
        capsys.readouterr()
        assert project.assay(*command) == 0, (command, capsys.readouterr().err[:500])
        told = capsys.readouterr().out
        assert command[-1] != "--json" or json.loads(told)
    assert project.assay("reject", "good", "--why", "no gain") == 0
    assert project.git("rev-parse", "rejected/good^{commit}") == good


def test_what_cannot_be_read_is_a_line_of_status(two_strategies: Project, capsys) -> None:
    project = two_strategies
    for plant in (undecodable_evidence, deep_evidence, huge_numbers_in_evidence, a_name_that_is_none, numbers):
        plant(project)
    project.assay("status")
    told = capsys.readouterr().out
    for name in ("bytes", "deep", "huge", "longer", "far", "renamed"):
        assert f"strategy/{name} is not verifiable: " in told
    assert "without a verdict: " in told
    mends = [line.partition("; next: ")[2] for line in told.split("\n")]
    assert any(hint.startswith("dvc exp remove ") for hint in mends)


def test_a_mend_is_safe_to_type(two_strategies: Project, capsys) -> None:
    """A name holds what a shell would run; quoted it runs nothing."""
    project = two_strategies
    project.git("update-ref", "refs/tags/strategy/$(touch${IFS}ran)", "HEAD")
    project.experiment("a;touch${IFS}ran", {"results/metrics.json": "{}"})
    project.assay("status", "--json")
    lines = json.loads(capsys.readouterr().out)["lines"]
    for line in lines:
        if line["topic"] in ("tags", "experiments") and line["hint"]:
            subprocess.run(line["hint"], shell=True, cwd=project.path, capture_output=True)
    assert not (project.path / "ran").exists() and sum(bool(line["hint"]) for line in lines) >= 2


def test_a_folder_with_a_newline_in_its_name(two_strategies: Project, tmp_path: Path, capsys) -> None:
    """The project is one folder of a repository, and somebody called it so."""
    top = tmp_path / "many"
    inner = Project(top / "two\nlines")
    shutil.copytree(two_strategies.path, inner.path, ignore=shutil.ignore_patterns(".git"))
    inner.write({"params.yaml": (inner.path / "params.yaml").read_text().replace("strategy/cosine", "floor")})
    subprocess.run(["git", "init", "-q", "-b", "main", str(top)], check=True)
    inner.git("config", "user.name", "Ada Lovelace")
    inner.git("config", "user.email", "ada@example.org")
    inner.commit()
    Project(top).experiment("good", {"two\nlines/results/metrics.json": metrics(0.981, "inconclusive")})
    for command in (["status"], ["log", "--all"], ["reject", "good", "--why", "no gain"]):
        assert inner.assay(*command) == 0, capsys.readouterr().err[:500]
    assert "0.9810" in capsys.readouterr().out
