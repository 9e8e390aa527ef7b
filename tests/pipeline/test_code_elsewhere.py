"""Code that the project reaches and Git does not hold: behind links, in submodules, ignored. Each hint works.

On a small repository: what is refused is decided before a stage begins.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from assay.baseline import accepted_strategy
from assay.core.errors import ProvenanceError
from assay.core.paths import ProjectPaths
from assay.runtime import tracked_code_check
from assay.runtime.dvc_yaml import Run

DECLARED = ["src/tasks"]


class Repository:
    """A folder with src/tasks/one.py and what a test puts beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("src/tasks/one.py", "X = 1\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "T")
        self.git("config", "user.email", "t@localhost")
        self.commit()

    def write(self, name: str, content: str = "Y = 2\n") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def git(self, *arguments: str, cwd: Path | None = None) -> None:
        identity = ("-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "protocol.file.allow=always")
        subprocess.run(["git", *identity, *arguments], cwd=cwd or self.root, check=True, capture_output=True)

    def commit(self, cwd: Path | None = None) -> None:
        self.git("add", "--all", cwd=cwd)
        self.git("commit", "--quiet", "--message", "x", cwd=cwd)

    def check(self, *files: str) -> None:
        tracked_code_check.check_known(self.root, files)

    def refused(self, *files: str) -> ProvenanceError:
        with pytest.raises(ProvenanceError) as caught:
            self.check(*files)
        return caught.value

    def hint(self, error: ProvenanceError) -> None:
        """Do what the sentence says, in a shell."""
        command = error.hint.rpartition("own: ")[2].partition(", or move")[0]
        done = subprocess.run(["sh", "-ec", command], cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "project with spaces")


def test_a_link_to_a_file_elsewhere(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scale.py").write_text("SCALE = 16\n", encoding="utf-8")
    (repository.root / "src/tasks/scale.py").symlink_to(tmp_path / "scale.py")
    repository.commit()
    error = repository.refused("src/tasks/one.py", "src/tasks/scale.py")
    assert f"src/tasks/scale.py is a symbolic link to {tmp_path / 'scale.py'}, which Git does not hold" in error.problem
    module = ModuleType("scale")
    module.__file__ = str(repository.root / "src/tasks/scale.py")  # as Python names it, which follows no link
    monkeypatch.setitem(sys.modules, "scale", module)
    assert tracked_code_check.imported(repository.root) == ["src/tasks/scale.py"]
    late = tracked_code_check.late(repository.root, DECLARED, [])
    assert late == ["src/tasks/scale.py"], "what is imported late is unproven"
    repository.hint(error)
    repository.check("src/tasks/scale.py")
    assert not (repository.root / "src/tasks/scale.py").is_symlink()


def test_a_tracked_file_that_became_a_link(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("X = 2\n", encoding="utf-8")
    (repository.root / "src/tasks/one.py").unlink()
    (repository.root / "src/tasks/one.py").symlink_to("../../../one.py")
    assert "is a symbolic link to" in repository.refused("src/tasks/one.py").problem


def test_a_linked_folder(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/deep.py").write_text("Z = 3\n", encoding="utf-8")
    (repository.root / "src/tasks/shared").symlink_to(tmp_path / "shared")
    repository.commit()
    error = repository.refused("src/tasks/shared/deep.py")
    assert f"src/tasks/shared is a symbolic link to {tmp_path / 'shared'}, which" in error.problem
    repository.hint(error)
    repository.check("src/tasks/shared/deep.py")


def test_links_within_the_repository_are_code_like_other(repository: Repository, tmp_path: Path) -> None:
    repository.write("common/scale.py")
    (repository.root / "src/tasks/scale.py").symlink_to("../../common/scale.py")
    (repository.root / "src/tasks/again.py").symlink_to(repository.root / "common/scale.py")
    repository.commit()
    repository.check("src/tasks/scale.py")
    (tmp_path / "way").symlink_to(repository.root)
    tracked_code_check.check_known(tmp_path / "way", ["src/tasks/one.py", "src/tasks/scale.py"])
    repository.git("rm", "--quiet", "--cached", "common/scale.py")
    assert "common/scale.py, which Git does not hold" in repository.refused("src/tasks/scale.py").problem


def test_a_baseline_with_links_out_of_it(repository: Repository, tmp_path: Path) -> None:
    """They mean something on one machine alone: nothing of them is in the tree that a baseline runs from."""
    for name, target in (("tzdata", "/nowhere/data"), ("up", "../../../x"), ("src/tasks/etc.py", "/etc/hosts")):
        (repository.root / name).symlink_to(target)
    (repository.root / "src/tasks/two.py").symlink_to("one.py")
    (repository.root / "round").symlink_to("round")
    repository.commit()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository.root, capture_output=True, text=True, check=True)
    run = Run(ProjectPaths(repository.root), repository.root, "")
    tree = accepted_strategy.unpack(run, head.stdout.strip())
    assert (tree / "src/tasks/two.py").read_text(encoding="utf-8") == "X = 1\n"
    assert not [name for name in ("tzdata", "up", "src/tasks/etc.py") if (tree / name).exists()]
    assert accepted_strategy.unpack(run, head.stdout.strip()) == tree, "found whole again"


def test_a_submodule(repository: Repository, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other")
    repository.git("submodule", "--quiet", "add", str(other.root), "src/tasks/vendor")
    repository.commit()
    error = repository.refused("src/tasks/vendor/src/tasks/one.py")
    assert "src/tasks/vendor is a submodule or another repository, whose files no experiment carries" in error.problem
    assert error.hint.startswith("install it as a package, or make its files this repository's own: git rm ")
    repository.hint(error)
    repository.check("src/tasks/vendor/src/tasks/one.py")


def test_a_repository_within_the_repository(repository: Repository) -> None:
    Repository(repository.root / "src/tasks/vendor")
    error = repository.refused("src/tasks/vendor/src/tasks/one.py")
    assert "src/tasks/vendor is a submodule or another repository" in error.problem
    repository.hint(error)
    repository.check("src/tasks/vendor/src/tasks/one.py")


def test_ignored_code(repository: Repository) -> None:
    repository.write(".gitignore", "local*.py\n")
    repository.commit()
    repository.write("src/tasks/local one.py")
    error = repository.refused("src/tasks/local one.py")
    assert error.hint.startswith("git add --force 'src/tasks/local one.py'")
    repository.hint(error)
    repository.check("src/tasks/local one.py")


@pytest.mark.parametrize("name", ["it's.py", "$HOME.py", "a;b.py", "`x`.py", '"q".py', "é ü.py"])
def test_names_that_a_shell_would_read(repository: Repository, name: str) -> None:
    repository.write(f"src/tasks/{name}")
    repository.hint(repository.refused(f"src/tasks/{name}"))
    repository.check(f"src/tasks/{name}")
