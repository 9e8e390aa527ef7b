"""Charts that were drawn before, by what they were drawn from: drawing one takes a tenth of a second.

They lie under Git's common folder, which no clone or pull brings along: what a page takes from here was drawn here. A
cache that may be deleted at any moment; where nothing can be written, charts are drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from assay.runtime import files, git

#: beyond so many charts the older half goes
MOST = 1_000


def store(root: Path) -> Callable[[str, Callable[[], str]], str]:
    """A function of a key and of what draws: the chart under that key, drawn where it is not kept yet."""
    common = git.run(root, "rev-parse", "--path-format=absolute", "--git-common-dir", check=False)
    folder = Path(common) / "assay" / "charts" if common else None

    def find(key: str, draw: Callable[[], str]) -> str:
        if folder is None:
            return draw()
        path = folder / f"{files.digest(key.encode('utf-8', 'surrogatepass'))}.svg"
        with suppress(OSError, UnicodeDecodeError):
            return path.read_text(encoding="utf-8")
        drawn = draw()
        with suppress(OSError):
            files.write_text(path, drawn)
            _prune(folder)
        return drawn

    return find


def _prune(folder: Path) -> None:
    found = sorted(folder.glob("*.svg"), key=lambda path: path.stat().st_mtime)
    for path in found[: len(found) // 2] if len(found) > MOST else ():
        path.unlink(missing_ok=True)
