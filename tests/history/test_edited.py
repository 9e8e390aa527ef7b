"""Which tracked files are edited: as Git says it, and without a touch of its index."""

from __future__ import annotations

import os

from assay.outside import git


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
