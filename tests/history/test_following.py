"""The work tree after a landing: the paths that it changed, by name, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from gitproject import PARAMS, Project, metrics

from assay.acceptance import update_work_tree
from assay.core.paths import ProjectPaths

NEW = {"params.yaml": PARAMS.replace("lr: 0.001 ", "lr: 0.01 "), "results/metrics.json": metrics()}


@pytest.fixture
def tried(project: Project) -> str:
    return project.experiment("wavy", NEW)


def land(project: Project, tried: str, files: dict[str, str] | None = None, gone: tuple[str, ...] = ()) -> str:
    """Move the branch alone: to the experiment's tree with `files` and a new baseline, without `gone`; the old HEAD."""
    old = project.head
    scratch = {"GIT_INDEX_FILE": str(project.path / ".git/scratch-index")}
    project.git("read-tree", tried, env=scratch)
    for path in gone:
        project.git("update-index", "--force-remove", path, env=scratch)
    pointed = {"params.yaml": NEW["params.yaml"].replace("baseline: floor", "baseline: strategy/adam"), **(files or {})}
    for path, content in pointed.items():
        blob = project.git("hash-object", "-w", "--stdin", stdin=content)
        project.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=scratch)
    commit = project.git("commit-tree", project.git("write-tree", env=scratch), "-p", old, "-m", "Accept")
    project.git("update-ref", "refs/heads/main", commit)
    return old


def follow(project: Project, old: str, tried: str) -> list[str]:
    return update_work_tree.follow(ProjectPaths(project.path), old, tried)


def test_only_what_the_landing_changed_is_replaced(project: Project, tried: str) -> None:
    """Beside it lie an edit, one that Git was told not to look at, and a file that was added meanwhile."""
    project.commit({"notes.txt": "1\n", "hidden.txt": "1\n"})
    tried = project.experiment("wavy", NEW)
    project.write(NEW)
    old = land(project, tried)
    mine = {"src/code.py": "x = 3  # mine\n", "hidden.txt": "mine\n", "new.txt": "mine\n"}
    project.write(mine)
    project.git("add", "new.txt")
    project.git("update-index", "--assume-unchanged", "hidden.txt")
    assert update_work_tree.behind(ProjectPaths(project.path), old, tried)
    assert follow(project, old, tried) == []
    assert {path: (project.path / path).read_text() for path in mine} == mine
    assert project.git("status", "--porcelain").splitlines() == ["A  new.txt", " M src/code.py"]
    assert not update_work_tree.behind(ProjectPaths(project.path), old, tried)


@pytest.mark.parametrize("hidden", [(), ("--assume-unchanged",), ("--skip-worktree",)])
def test_an_edit_of_what_it_would_replace_keeps_it_from_following(project, tried: str, hidden: tuple[str, ...]) -> None:
    old = land(project, tried)
    if hidden:
        project.git("update-index", *hidden, "params.yaml")
    project.write({"params.yaml": "mine\n"})
    assert follow(project, old, tried) == ["params.yaml"]
    assert update_work_tree.foreign(project.path, old, tried) == ["params.yaml"]
    assert (project.path / "params.yaml").read_text() == "mine\n" and not (project.path / "results").exists()
    (project.path / "params.yaml").write_text(PARAMS)
    assert follow(project, old, tried) == [] and project.git("status", "--porcelain") == ""


def test_what_is_only_staged_is_kept_like_an_edit(project: Project, tried: str) -> None:
    old = land(project, tried)
    project.write({"params.yaml": "mine\n"})
    project.git("add", "params.yaml")
    project.write({"params.yaml": PARAMS})
    assert follow(project, old, tried) == ["params.yaml"] and project.git("show", ":params.yaml") == "mine"


def test_an_untracked_file_in_the_way_is_named(project: Project, tried: str) -> None:
    project.write({"results/metrics.json": "mine\n"})
    old = land(project, tried)
    assert follow(project, old, tried) == ["results/metrics.json"]
    project.write(NEW)
    assert follow(project, old, tried) == [] and project.git("status", "--porcelain") == ""


def _folder(project: Project) -> None:
    project.write({"extra/one/mine.txt": "mine\n"})


def _file(project: Project) -> None:
    project.write({"extra": "mine\n"})


def _link(project: Project) -> None:
    (project.path.parent / "elsewhere").mkdir()
    (project.path / "extra").symlink_to(project.path.parent / "elsewhere")


@pytest.mark.parametrize(("put", "named"), [(_folder, "extra/one/mine.txt"), (_file, "extra"), (_link, "extra")])
def test_a_folder_a_file_or_a_link_in_the_way_of_a_file_is_named(project: Project, tried: str, put, named) -> None:
    old = land(project, tried, {"extra/one": "theirs\n"})
    put(project)
    before = sorted(project.path.rglob("*"))
    assert follow(project, old, tried) == [named]
    assert sorted(project.path.rglob("*")) == before and not list((project.path.parent / "elsewhere").glob("*"))


def test_a_file_becomes_a_folder_and_a_folder_goes_with_its_last_file(project: Project, tried: str) -> None:
    project.commit({"a": "file\n", "b/c/d.txt": "only\n", "kept/e.txt": "1\n", "crlf.txt": "one\n"})
    project.write({"kept/mine.txt": "mine\n"})
    tried = project.experiment("wavy", NEW)
    new = {"a/b.txt": "deep\n", ".gitattributes": "crlf.txt eol=crlf\n", "crlf.txt": "two\n"}
    old = land(project, tried, new, gone=("a", "b/c/d.txt", "kept/e.txt"))
    assert follow(project, old, tried) == []
    assert (project.path / "a/b.txt").read_text() == "deep\n" and not (project.path / "b").exists()
    assert (project.path / "crlf.txt").read_bytes() == b"two\r\n", "under the attributes that came with it"
    assert project.git("status", "--porcelain") == "?? kept/"


def test_a_submodule_is_never_written_into(project: Project, tmp_path: Path) -> None:
    vendor = Project(tmp_path / "vendor")
    vendor.path.mkdir()
    vendor.git("init", "-q")
    vendor.git("config", "user.name", "V")
    vendor.git("config", "user.email", "v@example.org")
    vendor.commit({"f.txt": "1\n"})
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(vendor.path), "vendor")
    project.commit()
    for name, value in {"submodule.recurse": "true", "submodule.vendor.ignore": "all"}.items():
        project.git("config", name, value)
    tried = project.experiment("wavy", NEW)
    old = land(project, tried)
    project.write({"vendor/f.txt": "mine\n"})
    assert follow(project, old, tried) == [] and (project.path / "vendor/f.txt").read_text() == "mine\n"
    assert update_work_tree.foreign(project.path, "HEAD") == ["vendor"]
    project.write({"vendor/f.txt": "1\n"})
    blocked = land(project, tried, {"vendor": "a file\n"}, gone=("vendor",))
    assert follow(project, blocked, tried)[0].startswith("vendor/")


def test_what_a_sparse_checkout_leaves_out_stays_out(project: Project, tried: str) -> None:
    project.commit({"far/away.txt": "1\n"})
    project.git("sparse-checkout", "set", "--no-cone", "/*", "!/far/")
    tried = project.experiment("wavy", NEW)
    old = land(project, tried, {"far/away.txt": "2\n"})
    assert follow(project, old, tried) == []
    assert not (project.path / "far").exists() and project.git("status", "--porcelain") == ""


def test_what_was_applied_of_an_older_experiment_goes_with_it(project: Project, tried: str) -> None:
    """`dvc exp apply` on a HEAD that went on: the work tree holds the old text of what others changed since."""
    project.write(NEW)
    old_text = (project.path / "src/code.py").read_text()
    project.write({"src/code.py": "x = 2\n"})
    project.git("add", "src/code.py")
    project.git("commit", "-q", "-m", "theirs")
    project.write({"src/code.py": old_text})
    old = land(project, tried, {"src/code.py": "x = 2\n"})
    assert follow(project, old, tried) == []
    assert (project.path / "src/code.py").read_text() == "x = 2\n" and project.git("status", "--porcelain") == ""
