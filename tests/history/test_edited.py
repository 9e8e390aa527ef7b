"""Which tracked files are edited: as Git says it, and without a touch of its index."""

from __future__ import annotations

import os

from assay.runtime import git


def test_names_are_those_of_the_repository_or_of_the_folder_asked_for(project):
    assert git.edited(project.path, "HEAD") == []
    project.write({"src/code.py": "x = 2\n", "params.yaml": "{}\n", "notes.txt": "untracked\n"})
    assert (
        git.edited(project.path, "HEAD") == git.edited(project.path / "src", "HEAD") == ["params.yaml", "src/code.py"]
    )
    assert git.edited(project.path / "src", "HEAD", ".") == ["code.py"]
    assert git.edited(project.path, "HEAD", "params.yaml", "dvc.yaml") == ["params.yaml"]


def test_an_edit_of_the_same_size_within_the_same_second_is_seen(project):
    """Git tells it by the time of its index, which the copy has to keep."""
    code = project.path / "src/code.py"
    for number in range(20):
        project.write({"src/code.py": f"x = {10 + number}\n"})
        project.git("add", "src/code.py")
        tree = project.git("write-tree")
        then = code.stat()
        project.write({"src/code.py": f"x = {90 - number}\n"})
        os.utime(code, ns=(then.st_atime_ns, then.st_mtime_ns))
        assert git.edited(project.path, tree) == ["src/code.py"]


def test_files_with_another_time_are_no_edits_and_the_index_stays(project):
    """Git would write their new time into it: whoever is killed then leaves a lock that stops the next `git commit`."""
    index, code = project.path / ".git/index", project.path / "src/code.py"
    before = index.read_bytes()
    os.utime(code, (1, 1))
    assert git.edited(project.path, "HEAD") == []
    assert index.read_bytes() == before
    project.git("diff", "--name-only", "HEAD")
    assert index.read_bytes() != before, "else there was nothing to write"


#: what may stand in a user's configuration, and hid an edit from `git diff` or made it fail
BLINDFOLDS = {
    "diff.relative": "true",
    "diff.ignoreSubmodules": "all",
    "submodule.recurse": "true",
    "diff.autoRefreshIndex": "false",
    "diff.orderFile": "missing",
    "core.ignoreStat": "true",
    "core.splitIndex": "true",
    "core.fsmonitor": "true",
    "status.renames": "copies",
    "diff.renames": "copies",
}


def test_no_setting_hides_an_edit(project):
    """In the folder of a larger repository, under the settings that blind Git: each file is found that is edited, gone
    or was renamed, and none that has another time alone."""
    names = [
        f"other/{name}.txt" for name in ("assumed", "skipped", "both", "plain", "renamed", "removed", "same", "[a]")
    ]
    base = project.commit(dict.fromkeys(names, "text of some length\n"))
    project.git("update-index", "--assume-unchanged", "other/assumed.txt", "other/both.txt")
    project.git("update-index", "--skip-worktree", "other/skipped.txt", "other/both.txt")
    project.write(dict.fromkeys(names[:4], "mine\n"))
    project.git("mv", "other/renamed.txt", "other/new.txt")
    (project.path / "other/removed.txt").unlink()
    os.utime(project.path / "other/same.txt", (1, 1))
    for key, value in BLINDFOLDS.items():
        project.git("config", key, value)
    index = (project.path / ".git/index").read_bytes()
    expected = ["assumed", "both", "new", "plain", "removed", "renamed", "skipped"]
    assert git.edited(project.path / "src", base) == [f"other/{name}.txt" for name in expected]
    project.write({"other/[a].txt": "mine\n"})
    assert git.edited(project.path / "other", base, "[a].txt") == ["[a].txt"]
    assert (project.path / ".git/index").read_bytes() == index


def test_what_a_sparse_checkout_leaves_out_is_no_edit(project):
    project.commit({"far/away.txt": "a\n"})
    project.git("sparse-checkout", "set", "--no-cone", "/*", "!/far/")
    assert not (project.path / "far").exists() and git.edited(project.path, "HEAD") == []


def test_an_edit_in_a_submodule_is_seen_whatever_is_said_to_ignore_it(project, tmp_path):
    """Submodules are never written into, but a tag is a commit of all of the repository."""
    vendor = type(project)(tmp_path / "vendor")
    vendor.path.mkdir()
    vendor.git("init", "-q")
    vendor.git_environment = {
        f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    vendor.commit({"f.txt": "1\n"})
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(vendor.path), "vendor")
    project.git("config", "-f", ".gitmodules", "submodule.vendor.ignore", "all")
    project.git("config", "submodule.vendor.ignore", "all")
    project.commit()
    project.write({"vendor/untracked.txt": "mine\n"})
    assert git.edited(project.path, "HEAD") == []
    project.write({"vendor/f.txt": "2\n"})
    assert git.edited(project.path, "HEAD") == ["vendor"]


def test_what_is_staged_alone_is_asked_for_alone(project):
    project.write({"src/code.py": "x = 2\n"})
    project.git("add", "src/code.py")
    project.write({"src/code.py": "x = 1\n"})
    assert git.edited(project.path, "HEAD") == [] and git.edited(project.path, "HEAD", staged=True) == ["src/code.py"]
