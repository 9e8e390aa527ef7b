"""A real project in a real Git and DVC repository, with a HOME of its own."""

from __future__ import annotations

import compileall
import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support import warm

CHECKOUT = Path(__file__).resolve().parents[2]
#: what a project consists of; tests, docs and benchmarks are not needed to run it
PARTS = (
    "src/tasks",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "plots/dvc.yaml",
    "params.yaml",
)
#: small enough for a test, large enough to train
SMALL = {"replicates: 10": "replicates: 3", "  epochs: 20": "  epochs: 3", "      epochs: 8": "      epochs: 2"}


def environment(home: Path) -> dict[str, str]:
    """Variables of a machine that has nothing set up: no identity, no configuration, one thread."""
    kept = {key: os.environ[key] for key in ("LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT") if key in os.environ}
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "DVC_NO_ANALYTICS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _well(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert done.returncode == 0, f"{done.args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True)
class Project:
    """`root` holds dvc.yaml; `home` is the user's home."""

    root: Path
    home: Path

    def run(
        self, *command: str, ok: bool = True, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project. With `ok` a failure fails the test, with everything it printed."""
        done = subprocess.run(
            command,
            cwd=cwd or self.root,
            env=environment(self.home) | env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return _well(done) if ok else done

    def dvc(self, *arguments: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        done = warm.dvc(arguments, self.root, environment(self.home) | env)
        return _well(done) if ok else done

    def git(self, *arguments: str, ok: bool = True) -> str:
        return self.run("git", *arguments, ok=ok).stdout.strip()

    def stage(self, name: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """A stage by hand; where it asks for it, `context` looks at the sources first, as in every run of DVC."""
        done = self.run("assay", "stage", name, ok=False)
        if f"; next: dvc repro context {name}" in done.stderr:
            self.run("assay", "stage", "context", ok=False)
            done = self.run("assay", "stage", name, ok=False)
        return _well(done) if ok else done

    def judged(self, **env: str) -> str:
        """What the last stage says of what `evaluate` finds now."""
        self.assay("stage", "evaluate", **env)
        return self.stage("verdict").stdout

    def assay(self, *arguments: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("assay", *arguments, ok=ok, **env)

    def commit(self, message: str = "change") -> str:
        self.git("add", "--all")
        self.git("-c", "user.name=Test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str) -> None:
        self.git(
            "-c", "user.name=Test", "-c", "user.email=test@localhost", "tag", "--annotate", name, "--message", name
        )

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old` by `new` in a file; the test fails when it is not there."""
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {path}"
        (self.root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    def decides_as(self, other: Project) -> None:
        """Train everything in the way in which `other` did: timed anew it could be another, with other last bits."""
        shutil.copytree(other.root / ".dvc/tmp/assay-ways", self.root / ".dvc/tmp/assay-ways", dirs_exist_ok=True)

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    @property
    def metrics(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.read("results/metrics.json"))
        return found

    def replicates(self, arm: str) -> list[dict[str, str]]:
        with (self.root / "results/replicates.csv").open(encoding="utf-8", newline="") as stream:
            return [row for row in csv.DictReader(stream) if row["arm"] == arm]

    def copy(self, where: Path) -> Project:
        """The same project elsewhere, cache and history included."""
        shutil.copytree(self.root, where / self.root.name, symlinks=True)
        return Project(where / self.root.name, self.home)


def create(where: Path, name: str = "project", small: bool = True) -> Project:
    """A fresh repository, with the small parameters unless told otherwise, committed, nothing run."""
    root, home = where / name, where / "home"
    home.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source, target = CHECKOUT / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, target)
    project = Project(root, home)
    for old, new in SMALL.items() if small else ():
        project.edit("params.yaml", old, new)
    project.git("init", "--quiet", "--initial-branch=main")
    project.commit("start")
    compileall.compile_dir(CHECKOUT / "src/assay", quiet=1)  # stages of tests leave none behind
    return compiled(project)


def accepted(where: Path) -> Project:
    """A repository whose first strategy ran against the floor, was committed and tagged, and is the baseline."""
    return with_first(create(where))


def build(where: Path, edits: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Variables under which another build of the library runs: this one, with `old` replaced by `new` in some files."""
    folder = where / "library"
    shutil.copytree(CHECKOUT / "src/assay", folder / "assay", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in edits.items():
        text = (folder / "assay" / name).read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        (folder / "assay" / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def compiled(project: Project, folder: str = "src") -> Project:
    """`project` with bytecode beside its sources, for all copies; checked by content, as tests edit within a second."""
    project.run(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", folder)
    return project


def with_first(project: Project) -> Project:
    """`project`, whose baseline is the floor, after strategy/first ran, was tagged, and was measured as baseline."""
    project.dvc("repro", "--quiet")
    project.commit("first strategy")
    project.tag("strategy/first")
    project.edit("params.yaml", "baseline: floor", "baseline: strategy/first")
    project.dvc("repro", "--quiet")
    project.commit("measure against strategy/first")
    return compiled(project, ".dvc/tmp/assay/trees")


def nest(project: Project, where: Path) -> Project:
    """`project` as a folder of a larger repository, from its first run on; what it trained is at hand."""
    here = Project(where / "many/vision", project.home)
    shutil.copytree(project.root, here.root, ignore=shutil.ignore_patterns(".git"))
    (here.root.parent / "README").write_text("many projects\n", encoding="utf-8")
    here.edit("params.yaml", "baseline: strategy/first", "baseline: floor")
    here.git("init", "--quiet", "--initial-branch=main", str(here.root.parent))
    here.commit("start")
    here.dvc("repro", "--quiet")
    here.commit("first strategy")
    here.tag("strategy/first")
    here.edit("params.yaml", "baseline: floor", "baseline: strategy/first")
    here.commit("compare with it")
    return here
