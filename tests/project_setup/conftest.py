"""Small repositories of users who never heard of Assay; nothing in them is run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from assay.commands.init import Setup, Wishes, init
from support.project import Project, environment

#: a table that anybody could have
TABLE = "size,colour,species\n" + "".join(f"{n % 7},{'red' if n % 2 else 'blue'},s{n % 3}\n" for n in range(30))


class Repository(Project):
    """The user's repository, and `assay init` in this very process."""

    def init(self, *paths: str, where: str = "", **wishes: object) -> Setup:
        return init(self.root / where, Wishes(paths=paths, **wishes))  # type: ignore[arg-type]

    def write(self, name: str, text: str | bytes) -> None:
        place = self.root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())

    def bytes(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def at(self, revision: str, name: str) -> str:
        return self.run("git", "show", f"{revision}:{name}").stdout

    def state(self) -> dict[str, bytes]:
        """Every file of the work tree, and what Git would say of it."""
        files = (path for path in self.root.rglob("*") if path.is_file() and ".git" not in path.parts)
        known = {str(path.relative_to(self.root)): path.read_bytes() for path in files}
        return known | {"HEAD": self.git("rev-parse", "HEAD", ok=False).encode(), "status": self.status().encode()}

    def status(self) -> str:
        return self.run("git", "status", "--porcelain", "--untracked-files=all").stdout


@pytest.fixture(scope="session")
def _user(workshop: Path) -> Repository:
    folder = workshop / "template-user"
    made = Repository(folder / "user", folder / "home")
    with FileLock(workshop / "user.lock"):
        if not (folder / "built").exists():
            made.home.mkdir(parents=True)
            made.write("data/plants.csv", TABLE)
            made.write("README", "mine\n")
            made.write(".dvc/config", "")
            made.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
            made.git("init", "--quiet", "--initial-branch=main")
            made.git("config", "user.name", "Ada Lovelace")
            made.git("config", "user.email", "ada@example.org")
            made.commit("start")
            (folder / "built").touch()
    return made


@pytest.fixture
def user(_user: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository with DVC, a committed table and nothing else."""
    shutil.copytree(_user.root, tmp_path / "user", symlinks=True)
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)
    return Repository(tmp_path / "user", home)
