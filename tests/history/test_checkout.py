"""The accepted strategy's files: as a checkout of its commit writes them, whatever else Git could do with them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from gitproject import PARAMS, Project
from test_scratch import reversing

from assay.baseline import accepted_strategy
from assay.core.errors import UsageError
from assay.core.paths import CachePaths, ProjectPaths
from assay.runtime import dvc_hash
from assay.runtime.dvc_cli import DVC
from assay.runtime.dvc_yaml import Run

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: assay stage train
    deps:
    - path: weights
      md5: 1.dir
"""


def unpacked(path: Path) -> Path:
    (path / ".dvc").mkdir(exist_ok=True)
    return accepted_strategy.unpack(Run(ProjectPaths(path), path, ""), Project(path).head)


def test_attributes_for_archives_change_no_code(project: Project) -> None:
    """Another tool that compares revisions was bitten by it: dekobon/big-code-analysis#838."""
    project.write({".gitattributes": "src/code.py export-subst\nsrc/more.py export-ignore\n"})
    code = "x = 1  # $Format:%H$\n"
    project.commit({"src/code.py": code, "src/more.py": "y = 2\n"})
    tree = unpacked(project.path)
    assert (tree / "src/code.py").read_text() == code and (tree / "src/more.py").read_text() == "y = 2\n"
    assert project.git("status", "--porcelain", "--untracked-files=no") == ""


def test_filters_and_line_ends_are_those_of_the_work_tree(project: Project) -> None:
    reversing(project, "*.py", attributes=".git/info/attributes")
    project.commit({".gitattributes": "*.txt text eol=crlf\n", "src/note.txt": "a\nb\n", "docs/page.md": "c\n"})
    project.git("config", "core.sparseCheckout", "true")
    project.write({".git/info/sparse-checkout": "/*\n!/docs/\n"})
    tree = unpacked(project.path)
    assert (tree / "src/code.py").read_text() == "x = 1\n"
    assert (tree / "src/note.txt").read_bytes() == b"a\r\nb\r\n"
    assert (tree / "docs/page.md").read_text() == "c\n", "sparse is the user's work tree, not the commit"


def test_a_folder_of_a_larger_repository(project: Project, tmp_path: Path) -> None:
    """Attributes of the folders above hold. Of what lies beside the project sources alone come along: it may import
    them."""
    reversing(project, "*.py")
    project.write({"vision/params.yaml": PARAMS, "vision/src/code.py": "z = 1\n", "vision/note.txt": "mine\n"})
    project.write({"other/code.py": "w = 1\n", "other/note.txt": "not mine\n"})
    project.commit()
    tree = unpacked(project.path / "vision")
    assert sorted(path.name for path in tree.iterdir()) == ["note.txt", "params.yaml", "src"]
    assert (tree / "src/code.py").read_text() == "z = 1\n"
    assert [path.name for path in (tree.parent / "other").iterdir()] == ["code.py"]
    assert (tree.parent / "other/code.py").read_text() == "w = 1\n"


def test_a_pointer_in_place_of_code_or_weights_is_named(project: Project) -> None:
    """Of a larger repository it was never replaced: git-lfs/git-lfs#5343. Elsewhere a pointer is nobody's business."""
    project.commit({"docs/film.mp4": POINTER})
    assert (unpacked(project.path) / "docs/film.mp4").read_text() == POINTER
    said = " is a pointer: the Git filter that fetches its content did not run; next: git lfs install"
    project.commit({"dvc.lock": LOCK, "weights/a.bin": "a", "weights/b.bin": POINTER})
    with pytest.raises(UsageError, match=f"^weights/b.bin of {project.head[:12]}{said}"):
        unpacked(project.path)
    project.commit({"weights/b.bin": "b", "src/secret.py": "\0GITCRYPT\0abc"})
    with pytest.raises(UsageError, match=r"src/secret.py of .* is a pointer: .*; next: git-crypt unlock"):
        unpacked(project.path)


def test_links_that_lead_elsewhere_are_left_out(project: Project) -> None:
    """An absolute one ended in a traceback, before anything was trained."""
    (project.path / "tzdata").symlink_to("/nowhere/data")
    (project.path / "above").symlink_to("../..")
    (project.path / "src/same.py").symlink_to("code.py")
    project.commit()
    tree = unpacked(project.path)
    assert not (tree / "tzdata").is_symlink() and not (tree / "above").is_symlink()
    assert (tree / "src/same.py").is_symlink() and unpacked(project.path) == tree


def test_a_tree_that_was_unpacked_the_old_way_is_not_believed(project: Project) -> None:
    tree = unpacked(project.path)
    old = tree.with_name(project.head)
    shutil.copytree(tree, old)
    shutil.rmtree(tree)
    (old / "src/code.py").write_text("x = 'substituted'\n")
    (old / ".unpacked").write_text(accepted_strategy._contents(old))
    assert (unpacked(project.path) / "src/code.py").read_text() == "x = 1\n"


def test_what_git_cannot_read_is_a_sentence(project: Project) -> None:
    blob = project.git("rev-parse", "HEAD:src/code.py")
    (project.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(UsageError, match=r"the files of \w{12} cannot be read: .*; next: git fetch --unshallow"):
        unpacked(project.path)
    reversing_fails = {"clean": "cat", "smudge": "false", "required": "true"}
    project.write({"src/code.py": "x = 1\n"})
    subprocess.run(["git", "-C", project.path, "hash-object", "-w", "src/code.py"], check=True, capture_output=True)
    for key, value in reversing_fails.items():
        project.git("config", f"filter.lost.{key}", value)
    project.write({".git/info/attributes": "*.py filter=lost\n"})
    with pytest.raises(UsageError, match=r"cannot be read: .*; next: git lfs fetch origin \w{12}, or whatever"):
        unpacked(project.path)


def with_weights(project: Project) -> Path:
    """`project` after its training read pretrained/, which Git ignores."""
    (project.path / "pretrained").mkdir()
    (project.path / "pretrained/net.bin").write_bytes(b"weights")
    known = LOCK.replace("weights", "pretrained").replace("1.dir", dvc_hash.digest(project.path / "pretrained"))
    project.commit({"dvc.lock": known, ".gitignore": "/pretrained\n"})
    return project.path / "pretrained"


def test_what_training_reads_and_nobody_keeps_is_the_users_own_while_it_is_the_same(project: Project) -> None:
    weights = with_weights(project)
    tree = unpacked(project.path)
    assert (tree / "pretrained").readlink() == weights
    assert unpacked(project.path) == tree, "a link makes no other tree of it"
    (weights / "net.bin").write_bytes(b"others")
    said = r"pretrained, which the training of \w{12} reads, is not available .*; next: git checkout \w{12} && dvc pull"
    with pytest.raises(UsageError, match=said):
        unpacked(project.path)


def test_what_training_reads_and_dvc_keeps_comes_from_its_cache(project: Project) -> None:
    with_weights(project)
    subprocess.run([*DVC, "init", "--quiet"], cwd=project.path, check=True)
    (project.path / ".gitignore").unlink()
    subprocess.run([*DVC, "add", "--quiet", "pretrained"], cwd=project.path, check=True)
    project.commit()
    (project.path / "pretrained/net.bin").unlink()
    tree = unpacked(project.path)
    assert (tree / "pretrained/net.bin").read_bytes() == b"weights"
    assert (tree / "pretrained").readlink().parent == CachePaths(project.path).data
