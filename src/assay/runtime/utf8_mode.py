"""Names of files in UTF-8, as Git has them, on machines whose locale says otherwise.

Under `LC_ALL=C` without Python's own remedies, or in a Latin-1 locale, Python would look for `pröject` under other
bytes than those that Git and DVC wrote down. Not covered: what can be printed (`runtime.standard_streams`).
"""

from __future__ import annotations

import os
import sys


def enter() -> None:
    """Start this process again in Python's UTF-8 mode where the locale names files otherwise; its children follow."""
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    stream = getattr(sys.stdout, "encoding", None)
    shown = {"PYTHONIOENCODING": str(stream)} if stream and "PYTHONIOENCODING" not in os.environ else {}
    environment = {**os.environ, **shown, "PYTHONUTF8": "1"}
    os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)
