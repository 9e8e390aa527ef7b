"""What `context` says and refuses of the repository that runs, whatever the task is."""

from __future__ import annotations

from assay.core import sanitize_output
from assay.history import detached_head
from assay.runtime import append_only_ref, cache_dirs, git_identity
from assay.runtime.stage_setup import StageContext


def check(ctx: StageContext) -> None:
    """Refuse where no look could be recorded; say what else is not as it should be."""
    root = ctx.layout.root
    append_only_ref.check_writable(ctx.run.home, append_only_ref.LOOKS)
    if git_identity.ensure(ctx.run.home):
        print(f"context: Git knew no identity; this repository now has {git_identity.NAME} <{git_identity.EMAIL}>")
    if ctx.run.home == root and (note := detached_head.before_this_run(root, ctx.run.experiment)):
        print(sanitize_output.line(f"context: {note}"))
    if note := cache_dirs.trouble(ctx.run.store):
        print(sanitize_output.line(f"context: {note}"))
