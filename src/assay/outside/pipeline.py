"""dvc.yaml as provenance needs it: what each stage declares. Also where DVC runs us, for whom, and on which cache."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay.outside import files, git
from assay.words.errors import UsageError
from assay.words.layout import Layout, Store
from assay.words.yaml12 import parse
from assay.words.yaml_limits import GENERATED


@dataclass(frozen=True)
class Run:
    """The project that runs, and the real repository behind a `--temp` or `--queue` copy of it."""

    layout: Layout
    home: Path  # the user's checkout, a work tree of Git; equals layout.root in the workspace
    experiment: str  # DVC's name for the experiment, "" outside of one

    @property
    def store(self) -> Store:
        return store(self.home)


def current(root: Path) -> Run:
    """The run that this process belongs to. `root` holds dvc.yaml."""
    home = os.environ.get("DVC_ROOT")
    return Run(
        layout=Layout(root),
        home=Path(home) if home else root,
        experiment=os.environ.get("DVC_EXP_NAME", ""),
    )


def store(home: Path) -> Store:
    """The cache of the checkout at `home`: all work trees of a repository share the one of the main work tree."""
    return Store(_main(home) or home)


@lru_cache(maxsize=8)
def _main(home: Path) -> Path | None:
    """The same project in the main work tree; None where `home` is that, or where there is none to be found.

    There is none behind a bare repository, or where nobody has had the project in the main work tree.
    """
    top = next((folder for folder in (home, *home.parents) if (folder / ".git").exists()), None)
    if top is None or (top / ".git").is_dir():  # nearly always, and asking Git would cost every stage a process
        return None
    listed = git.run(home, "worktree", "list", "--porcelain", check=False)  # the main work tree comes first
    first = re.match(r"worktree (.+?)\nHEAD ", listed.partition("\n\n")[0], re.DOTALL)
    main = Path(first[1]) / home.relative_to(top) if first else home
    return main if (main / ".dvc").is_dir() and main != home else None


def dependencies(layout: Layout, task: str) -> dict[str, list[str]]:
    """Stage → paths that dvc.yaml declares as its dependencies, `${task.name}` filled in."""
    declared = _stages(layout)
    return {
        stage: [re.sub(r"\$\{\s*task\.name\s*\}", task, str(path)) for path in entry.get("deps", [])]
        for stage, entry in declared.items()
    }


def _stages(layout: Layout) -> dict[str, Any]:
    stages = parse(files.read_bytes(layout.pipeline), "dvc.yaml", GENERATED).get("stages")
    if not isinstance(stages, dict):
        raise UsageError("dvc.yaml has no stages", mend="bring it back with `git checkout HEAD -- dvc.yaml`")
    return stages
