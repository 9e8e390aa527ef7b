"""The work tree in `assay status`: edits that no commit and no experiment has, and what differs from dvc.lock."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from assay.changes import dvc_lock_diff
from assay.commands.status_project import StatusProject, few
from assay.core.errors import AssayError
from assay.report.json_rows import StatusLine
from assay.runtime import dvc_lock


def lines(project: StatusProject) -> Iterator[StatusLine]:
    layout, equal = project.layout, project.equal
    edited = project.tree.edited if equal is None else []
    if edited:
        hint = "dvc exp run, or git stash"
        yield StatusLine(topic="work tree", text=f"edited, in no commit and no experiment: {few(edited)}", hint=hint)
    if not layout.lock.is_file():
        yield StatusLine(topic="work tree", text="there is no dvc.lock", hint="dvc exp run")
        return
    if not layout.metrics.is_file():  # as in a fresh clone: the run that brings results brings all the rest
        return
    try:
        lock = dvc_lock.stages(layout.lock.read_bytes())
        stale = dvc_lock_diff.changed_sources(layout.root, lock)
    except AssayError as error:
        yield StatusLine(topic="work tree", text=error.problem, hint="git checkout HEAD -- dvc.lock")
        return
    if project.accepted:
        stale = {
            stage: rest for stage, names in stale.items() if (rest := [name for name in names if name != "baseline"])
        }
    if stale:
        names = list(dict.fromkeys(name for changed in stale.values() for name in changed))
        text = f"{', '.join(stale)} last ran with another {few(names)}"
        yield StatusLine(topic="work tree", text=text, hint="dvc exp run")
    outputs = dvc_lock_diff.changed_outputs(layout.root, lock)
    if outputs:
        text = f"outputs that are not those of dvc.lock: {few(outputs)}"
        first = shlex.join(outputs[:5])  # by name and not by force: DVC then keeps what its cache has not
        yield StatusLine(topic="work tree", text=text, hint=f"dvc checkout {first}, or dvc pull {first}")
    if not (edited or stale or outputs):
        yield StatusLine(topic="work tree", text="clean" if equal is None else f"clean, as experiment {equal.name}")
