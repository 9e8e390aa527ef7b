"""In a checkout of Assay itself: the library that runs is the one of the work tree.

An installed copy would run other code than what is edited, and an edit would seem to change nothing. Compared is what
the sources do, never where they lie: an editable install of one checkout serves a `--temp` run as well.
"""

from __future__ import annotations

from pathlib import Path

from assay.core.errors import ProvenanceError
from assay.runtime import library_fingerprint
from assay.runtime import source_roots as trees


def check(root: Path, home: Path) -> None:
    """Refuse where the work tree around `root` holds other sources of Assay than those that run."""
    own = library_fingerprint.of_work_tree(root)
    if own is None or own.root == trees.PLACE:
        return
    here, running = library_fingerprint.fingerprints(own), library_fingerprint.fingerprints()
    differing = [name for name, found in here.items() if found != running[name]]
    if differing:
        place = next((folder for folder in (home, *home.parents) if (folder / "pyproject.toml").is_file()), home)
        raise ProvenanceError(
            f"the running Assay ({trees.OURS}) is not the one of this work tree ({own.root / trees.LIBRARY}): "
            f"{', '.join(differing)} would do something else",
            hint=f"pip install --no-deps -e '{place}'",
        )
