"""A foreign command under supervision: its output in a log, nothing left at work when it ends or is ended.

Covers: starting it with a supervisor of its own (`runtime.supervisor`), waiting for it with a limit, ending it. The
supervisor sees when this process is gone, however that ended, and ends the command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay.runtime import redacted_log

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
#: exit code that is told where the supervisor itself was killed
KILLED = -9


class CommandEnd(msgspec.Struct, frozen=True):
    """How a command ended. `code` is None where it was ended from here, negative where a signal ended it."""

    code: int | None
    left: list[str]  # processes that it left at work, and that were ended
    memory: int  # bytes, of the largest of its processes


@dataclass(frozen=True)
class CommandLine:
    """What to run: one line of a shell in `folder`, all that it prints in `log`."""

    line: str
    folder: Path
    environment: Mapping[str, str]
    log: Path
    core: int | None = None  # that it is pinned to


class SupervisedCommand:
    """A command at work. `wait` for its end, `stop` from any thread."""

    def __init__(self, command: CommandLine) -> None:
        reading, writing = os.pipe()
        command.log.parent.mkdir(parents=True, exist_ok=True)
        line = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(writing), command.line]
        line += [] if command.core is None else [str(command.core)]
        try:
            self._process = subprocess.Popen(
                line,
                cwd=command.folder,
                env=dict(command.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[writing],
                start_new_session=True,  # a Ctrl-C is for us: we end it, with all that it started
            )
        finally:
            os.close(writing)
        self._report = reading
        hidden = redacted_log.secrets(command.environment)
        assert self._process.stdout is not None
        copying = (self._process.stdout, command.log, hidden)
        self._copier = threading.Thread(target=redacted_log.copy, args=copying, daemon=True)
        self._copier.start()

    def wait(self, timeout: float | None = None) -> CommandEnd:
        """How it ended. Raises subprocess.TimeoutExpired where it is at work after `timeout` seconds."""
        self._process.wait(timeout)
        self._copier.join()
        with os.fdopen(self._report, "rb") as stream:
            said = stream.read()
        return msgspec.json.decode(said, type=CommandEnd) if said else CommandEnd(KILLED, [], 0)

    def stop(self) -> None:
        """End it, and all that it started; its supervisor does the work."""
        assert self._process.stdin is not None
        self._process.stdin.close()
