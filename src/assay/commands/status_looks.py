"""The ledger of looks in `assay status`: what nobody else knows of, what cannot be read, what was never ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assay.acceptance.earlier_attempts import left_behind
from assay.commands.status_project import StatusProject
from assay.history import look_ledger
from assay.report.json_rows import StatusLine
from assay.runtime import append_only_ref, git
from assay.runtime.append_only_ref import LOOKS, REMOTES
from assay.runtime.git_objects import refs

TOPIC = "looks"


def lines(project: StatusProject) -> Iterator[StatusLine]:
    """Nothing where nobody looked yet."""
    root = project.layout.root
    known = look_ledger.kept(root)
    if known.damaged:
        first, why = next(iter(known.damaged.items()))
        some = "1 entry" if len(known.damaged) == 1 else f"{len(known.damaged)} entries"
        text = f"{some} cannot be read and count as nothing: {first}: {why[:200]}"
        yield StatusLine(topic=TOPIC, text=text, hint=f"git log --stat {LOOKS}")
    if left := left_behind(known, project.state):
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        yield StatusLine(topic=TOPIC, text=f"{'; '.join(left[:3])}{more}")
    if known.entries and git.run(root, "remote", check=False):
        alone = len(set(known.entries) - _shared(root))
        if alone:
            text = f"{alone} of {len(known.entries)} looks and attempts are on no remote"
            yield StatusLine(topic=TOPIC, text=text, hint="assay sync")


def _shared(root: Path) -> set[str]:
    """Files of entries that some remote had when it was last asked."""
    fetched = [ref.name for ref in refs(root, REMOTES) if ref.name.endswith(LOOKS.removeprefix("refs/assay"))]
    return {path for found in append_only_ref.read(root, *fetched) for path in found.files}
