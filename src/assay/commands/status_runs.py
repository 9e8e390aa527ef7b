"""Runs in `assay status`: one under way, and what killed ones left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote

from assay.commands.status_project import StatusProject, few
from assay.history import detached_head, killed_run_leftovers
from assay.report.json_rows import StatusLine
from assay.runtime import git


def lines(project: StatusProject) -> Iterator[StatusLine]:
    layout, tree = project.layout, project.tree
    folder = Path(git.run(layout.root, "rev-parse", "--absolute-git-dir"))
    found = killed_run_leftovers.find(layout.root, project.repository.refs, folder)
    log = detached_head.read(layout.root)
    lost = detached_head.unreachable(layout.root, log.commits if tree.branch else [tree.head] if found.running else [])
    if lost:
        text = f"{len(lost)} commit(s) made while a run had detached HEAD are on no branch"
        yield StatusLine(topic="runs", text=text, hint=detached_head.kept(lost[0]))
    if found.running:
        yield StatusLine(topic="runs", text=f"a run is under way (process {_join(found.running)})")
        return
    if found.orphans:
        text = f"a stage lives on without its run (process {_join(found.orphans)})"
        yield StatusLine(topic="runs", text=text, hint=f"kill {_join(found.orphans)}")
    if found.refs:
        hint = "git for-each-ref --format='delete %(refname)' refs/exps/exec | git update-ref --stdin"
        yield StatusLine(
            topic="runs", text=f"a killed run left {few([ref.rpartition('/')[2] for ref in found.refs])}", hint=hint
        )
    for lock in found.locks:
        yield StatusLine(topic="runs", text=f"a killed command left {lock}", hint=f"rm {quote(str(lock))}")
    if not tree.branch:
        text, hint = detached_head.sentence(layout.root, log), detached_head.attach(layout.root, log.branch)
        yield StatusLine(topic="runs", text=text, hint=hint)


def _join(processes: Sequence[int]) -> str:
    return " ".join(map(str, processes))
