"""`assay doctor run`: the watch around a script of somebody's own, without an edit of it.

Covers: the process in which the script runs (`runtime/watched_script.py`), and what its report and its exit code mean.
Not covered: the checks (`assay.doctor`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.commands.doctor import Examined
from assay.core.errors import Exit, UsageError
from assay.runtime import watched_script


@dataclass(frozen=True)
class WatchedRun:
    """A script that ran; `code` is its own exit code, and `examined` what the watch has seen."""

    examined: Examined
    code: int

    def exit_code(self, require: str) -> int:
        """The script's own where it is not 0, else 5 where a finding is as grave as `require` asks about."""
        return self.code or self.examined.exit_code(require)


def watch_script(words: Sequence[str], *, output_to_stderr: bool = False, twice: bool = False) -> WatchedRun:
    """Run `train.py ARGUMENT…` or `-m pkg.train ARGUMENT…` in this folder, by this interpreter, under the watch.

    `twice`: its first steps run once more before that, in a process of their own whose output is not shown.

    Raises UsageError where there is no such script, and where it ended in a way that left no report.
    """
    _refuse(words)
    with tempfile.TemporaryDirectory(prefix="assay-watch-") as folder:
        answer = Path(folder) / "watched.json"
        start, first = [sys.executable, watched_script.__file__, str(answer)], str(Path(folder) / "first.json")
        if twice:
            command = [*start, watched_script.STOP, first, *words]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        command = [*start, *([watched_script.COMPARE, first] if twice else []), *words]
        done = subprocess.run(command, stdout=sys.stderr if output_to_stderr else None)
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        text = answer.read_text(encoding="utf-8") if answer.is_file() else ""
    if text:
        return WatchedRun(Examined(json.loads(text), int(Exit.DONE)), code)
    if code:
        return WatchedRun(Examined({}, int(Exit.DONE)), code)
    raise UsageError(
        f"{' '.join(words)!r} left no report: it did not import torch, or ended by os._exit",
        hint="put `with assay.doctor.watch() as seen:` around the loop",
    )


def _refuse(words: Sequence[str]) -> None:
    if not words or words[0] == "-m":
        if len(words) < 2:
            raise UsageError(
                "no script was named", allowed="a file, or -m and a module", hint="assay doctor run --help"
            )
        return
    if not Path(words[0]).is_file():
        raise UsageError(f"there is no file {words[0]!r}", allowed="a Python file, or -m and a module")
