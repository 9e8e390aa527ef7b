"""DVC's own hash of a file or a folder, found without starting DVC."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

#: what .dvcignore keeps DVC from hashing
_BYPRODUCTS = ("__pycache__", ".pyc")


def digest(path: Path) -> str:
    """DVC's hash of a file or folder; "" when it is missing."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if not path.is_dir():
        return ""
    entries = [{"md5": digest(file), "relpath": file.relative_to(path).as_posix()} for file in inside(path)]
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def inside(folder: Path) -> Iterator[Path]:
    """Files of a folder that DVC counts."""
    for above, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _BYPRODUCTS]
        yield from (Path(above, name) for name in names if not name.endswith(_BYPRODUCTS))
