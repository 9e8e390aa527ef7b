"""Places where output goes that cannot show all of it, or none: encodings, readers that leave, closed descriptors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: environments whose standard output lacks characters that we print
ENCODINGS: tuple[dict[str, str], ...] = (
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252"},
)
#: what a shell puts behind a command: a reader that leaves at once, a closed descriptor, both, a full disk
ENDINGS = ("| true", ">&-", ">&- 2>&-", "2>&1 | true", ">/dev/full")


def printed(
    arguments: Sequence[str], folder: Path, environment: dict[str, str], ending: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """`python ARGUMENTS ENDING` in a shell that gives Python's exit code, whatever reads its output."""
    command = ["bash", "-c", f'"$@" {ending}; exit "${{PIPESTATUS[0]}}"', "bash", sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL)
