"""A command whose output is a terminal, as a person sees it."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path


def on_a_terminal(command: list[str], folder: Path, env: dict[str, str]) -> str:
    """All that `command` prints there; it has to end well."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(command, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            found = os.read(ours, 4096)
        except OSError:
            break
        if not found:
            break
        said += found
    assert child.wait() == 0, said
    return said.decode()
