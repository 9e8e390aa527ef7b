"""A scratch project made ready for DVC, and run as far as our last stage."""

from __future__ import annotations

from assay.core.paths import STAGES, ProjectPaths
from assay.runtime import dvc_yaml
from assay.runtime.dvc_cli import DVC
from assay.scratch import linked_data
from assay.scratch.scratch_repo import Scratch, failed, run, share_cache


def last(layout: ProjectPaths) -> str:
    """Our last stage: `verdict`, or `evaluate` in a tree from before there was that one.

    The user's own beside or behind it, a deployment for example, never run in a scratch project.
    """
    known = dvc_yaml.dependencies(layout, "")
    return next(stage for stage in reversed(STAGES) if stage in known)


def furnish(scratch: Scratch) -> None:
    """Let DVC find settings, caches and data as in the real project. Raises UsageError for data that are nowhere."""
    share_cache(scratch.home, scratch.layout.root)
    scratch.untrack()
    linked_data.bring(ProjectPaths(scratch.home), scratch.top, scratch.layout, last(scratch.layout))


def reproduce(scratch: Scratch, parent: str, *, again: bool = False) -> None:
    """Regenerate dvc.lock and results; with `again`, which follows a first time, score the predictions anew whatever
    DVC knows of them. `parent` is the commit that the experiment was run on: HEAD here holds the idea already.

    Raises UsageError with the sentence of the stage that failed.
    """
    if not again:
        furnish(scratch)
    end = last(scratch.layout)
    asked = ["--force", "--single-item", *dict.fromkeys(("evaluate", end))] if again else [end]
    doing = "scoring it again" if again else "running the tree to be accepted"
    command = [*DVC, "repro", *asked]
    code, said = run(command, scratch.layout.root, scratch.home, doing, **{dvc_yaml.PARENT: parent})
    if code:
        hint = "name all that this stage reads under its deps in dvc.yaml, then dvc exp run, and accept that"
        raise failed("the tree to be accepted does not run", said, hint)
