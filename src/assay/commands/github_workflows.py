"""Workflows for GitHub, ready to be committed: a report of each pull request, its comment, the weekly baseline.

Two for pull requests: what runs their code may not write, and what may write runs none of it. Covers: writing the
files, and refusing to change what stands there. Not covered: running them.
"""

from __future__ import annotations

from pathlib import Path

from assay.core.errors import UsageError
from assay.runtime import files, git

FOLDER = ".github/workflows"
NAMES = ("assay-report.yml", "assay-comment.yml", "assay-rebaseline.yml")


def write(start: Path) -> list[Path]:
    """Write the workflows at the top of the repository; those written. Raises UsageError before the first write.

    A file that is there with the same content is left alone, one with another is not touched.
    """
    if not git.inside(start):
        raise UsageError(f"{start} is in no Git repository", hint="git init")
    place = Path(__file__).resolve().parents[1] / "templates" / "report" / "github"
    texts = {git.top(start) / FOLDER / name: place.joinpath(name).read_text(encoding="utf-8") for name in NAMES}
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
            raise UsageError(
                f"{path} is there with another content",
                allowed="files of your own under another name",
                hint=f"git rm {path}",
            )
    written = [path for path in texts if not path.exists()]
    for path in written:
        files.write_text(path, texts[path])
    return written
