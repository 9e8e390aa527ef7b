"""A commit's files as a project of their own, in which DVC runs without touching the work tree.

Covers: a repository that borrows the objects of the real one, DVC's cache shared with it, `dvc repro`,
what the run changed. Everything here is a cache: it may be deleted between any two instructions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.history import dvc_cache, plumbing
from assay.lineage.objects import refs
from assay.outside import files, git, pipeline, places
from assay.words.errors import UsageError
from assay.words.layout import Layout, Store


@dataclass(frozen=True)
class Scratch:
    """`layout` is the project in the scratch repository, `home` the real project."""

    top: Path
    layout: Layout
    home: Path

    def repro(self, *options: str) -> None:
        """Regenerate dvc.lock and results. Raises UsageError with the sentence of the stage that failed."""
        share_cache(self.home, self.layout.root)
        code, said = run([sys.executable, "-m", "dvc", "repro", *options], self.layout.root, self.home)
        if code:
            raise failed("the tree to be accepted does not run", said, "dvc exp run, then accept again")

    def changed_tree(self, tree: str) -> str:
        """`tree` with every tracked file as the run left it, written into the real repository."""
        with plumbing.index(self.home) as scratch:
            scratch.read(tree)
            edited = git.edited(self.top, "HEAD")
            new = git.run(self.layout.root, "ls-files", "-z", "--others", "--exclude-standard", "--full-name")
            for path in sorted({*edited, *filter(None, new.split("\0"))}):
                if (self.top / path).is_file():
                    scratch.put(path, (self.top / path).read_bytes())
            return scratch.write()

    def remove(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)


def lay_out(layout: Layout, commit: str, top: Path) -> Scratch:
    """The files of `commit` in a fresh repository at `top`; whatever was there is gone."""
    shutil.rmtree(top, ignore_errors=True)
    places.hold(places.made(top))
    common = Path(git.run(layout.root, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    git.run(top, "init", "--quiet")
    files.write_text(top / ".git" / "objects" / "info" / "alternates", f"{common / 'objects'}\n")
    if (common / "shallow").is_file():
        shutil.copy2(common / "shallow", top / ".git" / "shallow")
    tags = [f"create {ref.name} {ref.object}" for ref in refs(layout.root, "refs/tags")]
    git.run(top, "update-ref", "--stdin", stdin="\n".join([*tags, ""]))
    git.run(top, "update-ref", "--no-deref", "HEAD", commit)
    git.run(top, "reset", "--quiet", "--hard", commit)
    return Scratch(top, Layout(top / git.prefix(layout.root)), layout.root)


def share_cache(home: Path, root: Path) -> None:
    """The real project's local DVC configuration, its cache by absolute path, and our cache of replicates."""
    ours = Store(pipeline.dvc_root(root) or root).root
    ours.parent.mkdir(parents=True, exist_ok=True)
    ours.symlink_to(pipeline.store(home).root, target_is_directory=True)
    local, inside = ((pipeline.dvc_root(place) or place) / ".dvc" / "config.local" for place in (home, root))
    if local.is_file():
        shutil.copy2(local, inside)
    dvc_cache.share(home, root)


def run(command: Sequence[str], folder: Path, home: Path, **more: str) -> tuple[int, str]:
    """Exit code and all output of a child that works in `folder` for the project at `home`; `more` joins its
    environment."""
    environment = {**os.environ, "DVC_ROOT": str(pipeline.dvc_root(home) or home), "DVC_NO_ANALYTICS": "1", **more}
    environment.pop("DVC_EXP_NAME", None)
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def failed(what: str, said: str, mend: str) -> UsageError:
    """An error from a child's output: a stage's own sentence, which knows the mend, else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    ours = [line for line in lines if "; next: " in line or "; allowed: " in line]
    telling = [line for line in ours if "see the line above" not in line]
    sentence = (telling or ours or lines or ["no message"])[-1].removeprefix("assay: ")
    return UsageError(f"{what}: {sentence}", mend="" if "; next: " in sentence else mend)
