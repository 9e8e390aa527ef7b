"""Files that Git does not track, and the command that has it hold them: Git takes it, and DVC does not take it back."""

from __future__ import annotations

import subprocess

import pytest

from assay.core.errors import ProvenanceError
from assay.runtime import tracked_code_check


def refused(project, files: list[str] | None = None) -> ProvenanceError:
    with pytest.raises(ProvenanceError) as found:
        tracked_code_check.check(project.path, "train", ["src"], files or [], {"src/code.py"})
    return found.value


def test_the_command_commits_what_it_names(project):
    """One file, some that are ignored, and two hundred: their folder is meant. Nothing else is committed with them."""
    project.commit({".gitignore": "*.bin\n"})
    project.write({"src/code.py": "x = 2  # mine\n", "src/it's one.py": "", "src/b.bin": ""})
    project.write({f"src/pictures/{number}.png": "" for number in range(200)})

    error = refused(project, ["src/it's one.py"])
    assert error.problem == "src/it's one.py is imported but Git does not track it"
    subprocess.run(error.hint, shell=True, cwd=project.path, check=True, capture_output=True)

    (project.path / "src/pictures").rename(project.path / "pictures")
    error = refused(project)
    assert error.hint.startswith("git add --force src/b.bin && ")
    subprocess.run(error.hint.partition(", or")[0], shell=True, cwd=project.path, check=True, capture_output=True)

    (project.path / "pictures").rename(project.path / "src/pictures")
    error = refused(project)
    assert error.problem == (
        "src/pictures/0.png and 199 more lie inside the dependencies of stage train but Git does not track them"
    )
    assert error.hint == "git add src/pictures && git commit -m Track -- src/pictures, or move them elsewhere"
    subprocess.run(error.hint.partition(", or")[0], shell=True, cwd=project.path, check=True, capture_output=True)
    tracked_code_check.check(project.path, "train", ["src"], ["src/it's one.py"], {"src/code.py"})
    assert project.git("status", "--porcelain") == "M src/code.py"
