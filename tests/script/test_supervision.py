"""A command under supervision: nothing of it stays at work, and no secret stands in its log."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.runtime import parent_watch, redacted_log
from assay.runtime.supervised_command import CommandLine, SupervisedCommand

#: writes its process number, and ends for no signal that it may ignore; or for the first one
IGNORES = """import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("stays", "w").write(str(os.getpid()))
time.sleep(600)
"""
STAYS = IGNORES.replace("signal.SIG_IGN", "signal.SIG_DFL")
#: starts a command in the current folder, and waits
STARTER = """import os, sys, time
from pathlib import Path
from assay.runtime.supervised_command import *
running = SupervisedCommand(CommandLine(f"{sys.executable} code", Path("."), os.environ, Path("log")))
time.sleep(600)
"""


def command(folder: Path, line: str, **variables: str) -> SupervisedCommand:
    return SupervisedCommand(CommandLine(line, folder, {**os.environ, **variables}, folder / "log"))


def gone(path: Path) -> bool:
    """Whether the process that wrote its number into `path` ended."""
    until = time.monotonic() + 10
    while not path.exists() or not path.read_text():
        assert time.monotonic() < until
        time.sleep(0.01)
    process = int(path.read_text())
    while parent_watch.alive(process) and time.monotonic() < until:
        time.sleep(0.01)
    return not parent_watch.alive(process)


def test_exit_code_and_output(tmp_path: Path) -> None:
    end = command(tmp_path, "echo out; echo err >&2; echo $MY_TOKEN; exit 3", MY_TOKEN="hush hush").wait()
    assert (end.code, end.left) == (3, [])
    assert (tmp_path / "log").read_text() == "out\nerr\n***\n"


def test_what_forks_and_stays_is_ended_and_named(tmp_path: Path) -> None:
    """In a session of its own, its parent gone: nothing but a subreaper finds it."""
    (tmp_path / "code").write_text(STAYS)
    line = f"(setsid {sys.executable} code &) ; while [ ! -s stays ]; do sleep 0.01; done"
    end = command(tmp_path, line).wait(30)
    assert end.code == 0 and len(end.left) == 1 and "code" in end.left[0]
    assert gone(tmp_path / "stays")


@pytest.mark.extra
def test_stop_ends_what_ignores_a_signal(tmp_path: Path) -> None:
    (tmp_path / "code").write_text(IGNORES)
    running = command(tmp_path, f"{sys.executable} code & wait")
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.3)
    running.stop()
    assert running.wait(30).code is None
    assert gone(tmp_path / "stays")


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Killed without a chance to say anything."""
    (tmp_path / "code").write_text(STAYS)
    process = subprocess.Popen([sys.executable, "-c", STARTER], cwd=tmp_path)
    until = time.monotonic() + 20
    while not (tmp_path / "stays").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert gone(tmp_path / "stays")


def test_secrets_are_masked_wherever_a_block_ends(tmp_path: Path) -> None:
    named = {
        "WANDB_API_KEY": "0123456789",
        "db_password": "pass word",
        "TOKENIZERS_PARALLELISM": "false",
        "SECRET": "ab",
        "PATH": "/bin",
    }
    hidden = redacted_log.secrets(named)
    assert hidden == [b"0123456789", b"pass word", b"false"]

    class Dribble(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read1(7)

    text = b"x" * 80_000 + b"0123456789" + b"y" * 80_000 + b"\nkey 0123456789, pass word\rand 012345678\n"
    redacted_log.copy(Dribble(text), tmp_path / "log", hidden)
    assert (tmp_path / "log").read_bytes() == text.replace(b"0123456789", b"***").replace(b"pass word", b"***")
