"""A repository of ours treats files as the user's does, and follows nothing else of this machine's settings."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from gitproject import PARAMS, Project

from assay.core.paths import ProjectPaths
from assay.runtime import commit_one_file, git
from assay.scratch import scratch_repo

#: each line backwards: no filter of this kind leaves Python or YAML as it was
BACKWARDS = "sed -e '/\\n/!G;s/\\(.\\)\\(.*\\n\\)/&\\2\\1/;//D;s/.//'"


def reversing(project: Project, pattern: str, *, attributes: str = ".gitattributes") -> None:
    """A filter for `pattern` that lives in .git/config, as those of Git LFS and git-crypt often do."""
    for way in ("clean", "smudge"):
        project.git("config", f"filter.backwards.{way}", BACKWARDS)
    project.write({attributes: f"{pattern} filter=backwards\n"})
    project.git("add", "--renormalize", ".")
    project.commit(message="Filter")


def laid_out(project: Project, folder: Path) -> scratch_repo.Scratch:
    return scratch_repo.lay_out(ProjectPaths(project.path), project.head, folder / "scratch")


def hook(folder: Path, name: str, told: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho {name} >> '{told}'\n", encoding="utf-8")
    (folder / name).chmod(stat.S_IRWXU)


def test_a_filter_of_the_users_git_folder_is_at_work_in_ours(project: Project, tmp_path: Path) -> None:
    project.git("config", "core.attributesFile", str(tmp_path / "attributes"))
    reversing(project, "*.py", attributes=".git/info/attributes")
    assert project.git("show", "HEAD:src/code.py") == "1 = x"
    made = laid_out(project, tmp_path)
    assert (made.top / "src/code.py").read_text() == "x = 1\n"
    (made.top / "src/code.py").write_text("x = 2\n")
    (made.top / "src/more.py").write_text("y = 3\n")
    tree = made.changed_tree(project.git("rev-parse", "HEAD^{tree}"))
    assert project.git("show", f"{tree}:src/code.py") == "2 = x"
    assert project.git("show", f"{tree}:src/more.py") == "3 = y"
    assert project.git("diff-tree", "-r", "--name-only", "HEAD", tree).split() == ["src/code.py", "src/more.py"]


def test_what_is_written_beside_the_index_went_through_its_filter(project: Project) -> None:
    """`accept` left raw content in the tagged tree: the clone after it saw every such file as edited."""
    reversing(project, "results/*")
    (project.path / ".gitattributes").unlink()  # the tree's own attributes count, not those of the work tree
    tree = commit_one_file.tree_with(project.path, "HEAD", {"results/confirmation.csv": b"a,b\n1,2\n"})
    assert project.git("show", f"{tree}:results/confirmation.csv") == "b,a\n2,1"
    project.git("checkout", "--", ".gitattributes")
    assert git.read(project.path, tree, "results/confirmation.csv") == b"a,b\n1,2\n"


def test_line_ends_and_modes_are_those_of_the_tree(project: Project, tmp_path: Path) -> None:
    project.commit({".gitattributes": "*.yaml text eol=crlf\n"})
    project.git("update-index", "--chmod=+x", "params.yaml")
    project.git("commit", "-q", "-m", "As file systems without modes have it")
    tree = commit_one_file.tree_with(project.path, "HEAD", {"params.yaml": PARAMS.replace("\n", "\r\n").encode()})
    assert tree == project.git("rev-parse", "HEAD^{tree}")
    assert b"\r\n" in (laid_out(project, tmp_path).layout.params).read_bytes()


def test_a_filter_that_fails_is_a_sentence(project: Project) -> None:
    reversing(project, "params.yaml")
    project.git("config", "filter.backwards.smudge", "false")
    project.git("config", "filter.backwards.required", "true")
    with pytest.raises(
        Exception, match=r"params.yaml at HEAD cannot be read: .*'false' failed 1; next: git check-attr"
    ):
        git.read(project.path, "HEAD", "params.yaml")
    assert git.read(project.path, "HEAD", "nothing.yaml") is None


def test_our_repositories_are_made_like_the_users_and_run_no_hook(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defaults of this machine for new repositories, its template and its hooks are for the user's own."""
    told, templates = tmp_path / "told", tmp_path / "templates"
    for folder in (templates / "hooks", tmp_path / "hooks"):
        for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-commit", "post-commit"):
            hook(folder, name, told)
    for key, value in {
        "templateDir": templates,
        "defaultObjectFormat": "sha256",
        "defaultRefFormat": "reftable",
    }.items():
        project.git("config", "--global", f"init.{key}", str(value))
    project.git("config", "--global", "core.hooksPath", str(tmp_path / "hooks"))
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(templates))
    made = laid_out(project, tmp_path)
    (made.top / "src/code.py").write_text("x = 2\n")
    made.changed_tree(project.git("rev-parse", "HEAD^{tree}"))
    assert not told.exists(), told.read_text()
    assert git.run(made.top, "rev-parse", "HEAD", "--show-object-format").split() == [project.head, "sha1"]


def test_a_repository_of_long_hashes_gets_one_like_it(tmp_path: Path) -> None:
    """DVC opens none of them (3.67: "unknown object format"), so nothing can run there; looking at it works."""
    project = Project(tmp_path / "long")
    project.path.mkdir()
    project.git("init", "-q", "--object-format=sha256")
    project.git("config", "user.name", "Ada Lovelace")
    project.git("config", "user.email", "ada@example.org")
    head = project.commit({"params.yaml": PARAMS, "dvc.yaml": "stages: {}\n"})
    made = laid_out(project, tmp_path)
    assert git.run(made.top, "rev-parse", "HEAD") == head and len(head) == 64
