"""Whether a disk that takes nothing more stands behind what DVC raised: no pull would help then."""

from __future__ import annotations

import errno
import sqlite3

from assay.core.errors import FULL

#: SQLite's number for it, and its words where Python does not hand the number on (3.10)
_SQLITE_FULL, _SQLITE_SAYS = 13, ("database or disk is full",)


def refusal(error: BaseException | None) -> int | None:
    """The system's number behind `error`, None where it is about something else."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error.errno
        if isinstance(error, sqlite3.OperationalError) and _without_room(error):  # DVC keeps a table of files there
            return errno.ENOSPC
        error = error.__cause__ or error.__context__
    return None


def _without_room(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorcode", None) == _SQLITE_FULL or error.args == _SQLITE_SAYS
