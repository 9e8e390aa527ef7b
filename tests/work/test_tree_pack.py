"""The code that a worker unpacks is the tree, whatever attributes say, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from assay.core.errors import ProvenanceError, UsageError
from assay.core.work_records import SharedPaths
from assay.work import tree_pack
from support import toy_requests


def git(top: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", str(top), *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Attributes that `git archive` obeys, a link, a program, names that are hard to write."""
    top = tmp_path / "repository"
    (top / "vision" / "src").mkdir(parents=True)
    git(tmp_path, "init", "-q", str(top))
    (top / ".gitattributes").write_text("vision/src/secret.py export-ignore\nvision/src/v.py export-subst\n")
    (top / "vision" / "src" / "secret.py").write_text("A = 1\n")
    (top / "vision" / "src" / "v.py").write_text("V = '$Format:%H$'\n")
    (top / "vision" / "params.yaml").write_text("lr: 1\n")
    (top / "vision" / 'größe "a".txt').write_text("x")
    (top / "run").write_text("#!/bin/sh\n")
    (top / "run").chmod(0o755)
    (top / "link").symlink_to("run")
    git(top, "add", ".")
    return top


def asked(shared: Path, top: Path, **changes: object):
    _, (request,) = toy_requests.build(shared / "toy", 1)
    tree = git(top, "write-tree")
    tree_pack.write(top, tree, shared)
    return msgspec.structs.replace(request, **{"tree": tree, "project": "vision", **changes})


def test_every_file_is_there_as_it_was(repository: Path, tmp_path: Path) -> None:
    request = asked(tmp_path / "shared", repository)
    project = tree_pack.unpack(request, tmp_path / "shared", tmp_path / "job" / "tree")
    assert project == tmp_path / "job" / "tree" / "vision"
    for path in git(repository, "ls-files", "-z").strip("\0").split("\0"):
        here, there = tmp_path / "job" / "tree" / path, repository / path
        assert here.is_symlink() == there.is_symlink() and here.read_bytes() == there.read_bytes()
        assert here.stat().st_mode & 0o111 == there.stat().st_mode & 0o111
    assert "$Format" in (project / "src" / "v.py").read_text()
    tree_pack.check_unchanged(request, project)


def test_another_trees_pack_is_refused(repository: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    request = asked(shared, repository)
    (repository / "vision" / "src" / "secret.py").write_text("A = 2\n")
    git(repository, "add", ".")
    other = git(repository, "write-tree")
    tree_pack.write(repository, other, shared)
    paths = SharedPaths(shared)
    paths.pack(request.tree).write_bytes(paths.pack(other).read_bytes())
    with pytest.raises(ProvenanceError, match=request.tree[:12]):
        tree_pack.unpack(request, shared, tmp_path / "job")


@pytest.mark.parametrize("damage", [lambda raw: raw[:-30], lambda raw: raw[:40] + b"?" + raw[41:], lambda raw: b""])
def test_a_damaged_pack_is_refused(repository: Path, tmp_path: Path, damage) -> None:
    request = asked(tmp_path / "shared", repository)
    pack = SharedPaths(tmp_path / "shared").pack(request.tree)
    pack.write_bytes(damage(pack.read_bytes()))
    with pytest.raises(ProvenanceError) as caught:
        tree_pack.unpack(request, tmp_path / "shared", tmp_path / "job")
    assert "submit it again" in caught.value.hint


def test_a_tree_that_is_not_there_is_named(repository: Path, tmp_path: Path) -> None:
    request = asked(tmp_path / "shared", repository, tree="1" * 40)
    with pytest.raises(UsageError, match="tree 111111111111, is not in"):
        tree_pack.unpack(request, tmp_path / "shared", tmp_path / "job")


def test_a_tree_that_git_lacks_objects_of_is_not_packed(repository: Path, tmp_path: Path) -> None:
    tree = git(repository, "write-tree")
    blob = git(repository, "rev-parse", f"{tree}:run")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(UsageError, match="cannot be packed"):
        tree_pack.write(repository, tree, tmp_path / "shared")
    assert not SharedPaths(tmp_path / "shared").pack(tree).exists()


def test_edited_code_is_refused(repository: Path, tmp_path: Path) -> None:
    """A job that is requeued into its old folder, where somebody edited a file."""
    request = asked(tmp_path / "shared", repository)
    project = tree_pack.unpack(request, tmp_path / "shared", tmp_path / "job")
    (project / "src" / "secret.py").write_text("A = 3\n")
    with pytest.raises(ProvenanceError, match=r"vision/src/secret\.py was edited"):
        tree_pack.check_unchanged(request, project)


def test_a_pointer_in_place_of_a_file_is_refused(repository: Path, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    (repository / "vision" / "src" / "weights.py").write_text(pointer)
    git(repository, "add", ".")
    request = asked(tmp_path / "shared", repository)
    with pytest.raises(UsageError, match="is a pointer"):
        tree_pack.unpack(request, tmp_path / "shared", tmp_path / "job")


def test_line_ends_are_those_of_the_launching_machine(repository: Path, tmp_path: Path) -> None:
    git(repository, "config", "core.autocrlf", "true")
    settings = tree_pack.settings(repository)
    assert settings["core.autocrlf"] == "true"
    request = asked(tmp_path / "shared", repository, git=settings)
    project = tree_pack.unpack(request, tmp_path / "shared", tmp_path / "job")
    assert (project / "src" / "secret.py").read_bytes() == b"A = 1\r\n"


def test_a_hook_or_a_variable_of_the_user_steers_nothing(repository: Path, tmp_path: Path, monkeypatch) -> None:
    request = asked(tmp_path / "shared", repository)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert tree_pack.unpack(request, tmp_path / "shared", tmp_path / "job").is_dir()
