"""What was found out about sources, by their content, kept between runs: parsing a hundred files takes 0.3 s.

A cache that may be deleted at any moment. It is believed only when it is whole, and was made by this very
analysis on this Python.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from assay.core import ast_normal_form
from assay.runtime import files

#: beyond this many answers only those that the last run used are kept
_MOST = 5_000
_MADE_BY = (Path(__file__).with_name("import_closure.py"), Path(ast_normal_form.__file__))


_known: dict[str, list[str]] = {}
_used: dict[str, list[str]] = {}
_learnt: set[str] = set()


def recall(key: str) -> list[str] | None:
    """What is known under `key`, a digest of all that the answer depends on."""
    if key in _known:
        _used[key] = _known[key]
    return _known.get(key)


def learn(key: str, found: list[str]) -> list[str]:
    _known[key] = _used[key] = found
    _learnt.add(key)
    return found


def load(path: Path) -> None:
    """Know what an earlier run found; a file that is missing, damaged or foreign is as good as none."""
    try:
        made_by, _, rest = path.read_bytes().partition(b"\n")
        content, _, found = rest.partition(b"\n")
    except OSError:
        return
    with suppress(OSError):
        os.utime(path)  # of use: what was not is pruned first
    if made_by.decode(errors="replace") == _made_by() and content.decode(errors="replace") == files.digest(found):
        _known.update(json.loads(found))


def save(path: Path) -> None:
    """Keep what is known, if something was learnt; a full disk is no reason to fail."""
    if not _learnt:
        return
    found = json.dumps(_known if len(_known) <= _MOST else _used, sort_keys=True).encode()
    try:
        files.write_bytes(path, f"{_made_by()}\n{files.digest(found)}\n".encode() + found)
    except OSError:
        return
    _learnt.clear()


def _made_by() -> str:
    sources = b"".join(path.read_bytes() for path in _MADE_BY)
    return files.digest(sources + repr(sys.version_info[:2]).encode())
