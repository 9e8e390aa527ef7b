"""A commit's files as a project of their own, in which DVC runs without touching the work tree.

Covers: a repository that borrows the objects of the real one, DVC's cache shared with it, what a run changed.
Everything here is a cache: it may be deleted between any two instructions. Not covered: running it
(`scratch.dvc_repro`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import CachePaths, ProjectPaths
from assay.runtime import cache_dirs, dvc_cache_dir, dvc_yaml, git, git_env_vars, git_plumbing, progress_line
from assay.runtime.git_objects import refs
from assay.scratch import borrowed_objects

#: the last line of a traceback
_RAISED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt)(?:: |$)")


@dataclass(frozen=True)
class Scratch:
    """`layout` is the project in the scratch repository, `home` the real project."""

    top: Path
    layout: ProjectPaths
    home: Path

    def changed_tree(self, tree: str) -> str:
        """`tree` with every tracked file as the run left it, written into the real repository."""
        objects = git.run(self.home, "rev-parse", "--path-format=absolute", "--git-path", "objects")
        ours = git_env_vars.of_our_own()
        with git_plumbing.index(self.top, ours | {"GIT_OBJECT_DIRECTORY": objects}) as index:
            index.read(tree)
            kept = self.kept_by_dvc(tree)
            index.drop(kept)
            index.add([path for path in self._changed(ours) if (self.top / path).is_file() and path not in kept])
            return index.write()

    def untrack(self) -> None:
        """Take out of Git's index here what DVC keeps.

        `dvc exp save` adds the sources of plots to an experiment's commit, ignored or not; DVC then refuses to run the
        stage that writes them.
        """
        if kept := self.kept_by_dvc("HEAD"):
            given = "".join(f"{path}\0" for path in kept)
            git.run(
                self.top,
                "update-index",
                "-z",
                "--force-remove",
                "--stdin",
                stdin=given,
                environment=git_env_vars.of_our_own(),
            )

    def kept_by_dvc(self, tree: str) -> list[str]:
        """Files of `tree`, named from its top, that lie in outputs which DVC keeps."""
        ours = git_env_vars.of_our_own()
        made = dvc_yaml.cached_outputs(self.layout)
        start = git.run(self.layout.root, "rev-parse", "--show-prefix", environment=ours)
        listed = git.run(self.top, "ls-tree", "-r", "-z", "--name-only", tree, environment=ours).split("\0")
        own = [path for path in listed if path.startswith(start)]
        return [path for path in own if dvc_yaml.within(path.removeprefix(start), made)]

    def _changed(self, ours: Mapping[str, str]) -> list[str]:
        """Tracked files that the run edited, and those that it made."""
        git.run(self.top, "update-index", "-q", "--refresh", check=False, environment=ours)
        edited = git.run(self.top, "diff-index", "-z", "--name-only", "--no-renames", "HEAD", environment=ours)
        listed = ("ls-files", "-z", "--others", "--exclude-standard", "--full-name")
        new = git.run(self.layout.root, *listed, environment=ours)
        return sorted({path for path in (*edited.split("\0"), *new.split("\0")) if path})

    def remove(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)


def lay_out(layout: ProjectPaths, commit: str, top: Path) -> Scratch:
    """The files of `commit` in a fresh repository at `top`; whatever was there is gone."""
    shutil.rmtree(top, ignore_errors=True)
    cache_dirs.hold(cache_dirs.made(top))
    borrowed_objects.create(layout.root, top)
    ours = git_env_vars.of_our_own()
    tags = [f"create {ref.name} {ref.object}" for ref in refs(layout.root, "refs/tags")]
    git.run(top, "update-ref", "--stdin", stdin="\n".join([*tags, ""]), environment=ours)
    git.run(top, "update-ref", "--no-deref", "HEAD", commit, environment=ours)
    git.run(top, "reset", "--quiet", "--hard", commit, environment=ours)
    return Scratch(top, ProjectPaths(top / git.prefix(layout.root)), layout.root)


def share_cache(home: Path, root: Path) -> None:
    """The real project's local DVC configuration, its cache by absolute path, and our cache of replicates."""
    ours = CachePaths(dvc_yaml.dvc_root(root) or root).root
    ours.parent.mkdir(parents=True, exist_ok=True)
    if ours.is_symlink():
        return
    ours.symlink_to(dvc_yaml.store(home).root, target_is_directory=True)
    local, inside = ((dvc_yaml.dvc_root(place) or place) / ".dvc" / "config.local" for place in (home, root))
    if local.is_file():
        shutil.copy2(local, inside)
    dvc_cache_dir.share(home, root)


def run(command: Sequence[str], folder: Path, home: Path, doing: str = "", **more: str) -> tuple[int, str]:
    """Exit code and all output of a child that works in `folder` for the project at `home`; `more` joins its
    environment. How far it is stands after `doing` meanwhile, where that is not empty."""
    inherited = os.environ if folder == home else git_env_vars.of_our_own()
    place = str(dvc_yaml.dvc_root(home) or home)
    environment = {**inherited, "DVC_ROOT": place, "DVC_NO_ANALYTICS": "1", **more}
    environment.pop("DVC_EXP_NAME", None)
    with ExitStack() as shown:
        if doing:
            environment |= shown.enter_context(progress_line.showing_child(doing))
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def failed(what: str, said: str, hint: str) -> UsageError:
    """An error from a child's output: a stage's own sentence, which knows the hint, else what was raised, else what DVC
    calls the error; its last line may be an advertisement.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    ours = [line for line in lines if "; next: " in line or "; allowed: " in line]
    telling = [line for line in ours if "see the line above" not in line]
    last = max((number for number, line in enumerate(lines) if line.startswith("Running stage ")), default=0)
    raised = [line for line in lines[last:] if _RAISED.match(line)]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    sentence = (telling or ours or raised or errors or lines or ["no message"])[-1].removeprefix("assay: ")
    return UsageError(f"{what}: {sentence}", hint="" if "; next: " in sentence else hint)
