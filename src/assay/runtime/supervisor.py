"""supervisor: runs one command line of a shell, and ends whatever it leaves behind.

Started by its path in an interpreter of its own (`runtime.supervised_command`), and so without any import of Assay.
Ends the command, with all that it started, as soon as standard input is closed: whoever started this process may be
killed at any moment. Its arguments: the descriptor to report to, the command line, and a core to pin it to, if any.
`supervise` does the same for a process that was forked (`runtime.supervised_process`).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

_PR_SET_CHILD_SUBREAPER = 36
#: seconds that helpers of a command may take to end by themselves, and those that they get to end when told
GRACE, TERM = 1.0, 2.0
#: seconds between looks at what is still there
_PAUSE = 0.02


def main(report: int, command: str) -> None:
    """Run `command`; one JSON object to `report`: exit code, what was left and ended, peak memory in bytes."""
    adopt_orphans()
    os.set_inheritable(report, False)
    code, left = supervise(lambda: _shell(command), 0)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    os.write(report, json.dumps({"code": code, "left": left, "memory": memory}).encode())


def _shell(command: str) -> int:
    """Start a shell, in a process group of its own; its number."""
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    argv = ["/bin/sh", "-c", command]
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]
    return os.posix_spawn("/bin/sh", argv, os.environ, file_actions=[nothing], setpgroup=0, setsigdef=defaults)


def adopt_orphans() -> None:
    """Become the parent of whatever a process below this one leaves behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def supervise(start: Callable[[], int], life: int) -> tuple[int | None, list[str]]:
    """Wait for the child that `start` makes: its exit code, and what it left at work and was ended, by name.

    The code is None where the descriptor `life` was closed before; the child was ended then.
    """
    wake = _wake()
    child = start()
    code = _watch(child, life, wake)
    left = [] if code is None else _left(child)
    _end(child)
    return code, left


def _wake() -> int:
    """A descriptor that can be read whenever a child ended."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def _watch(child: int, life: int, wake: int) -> int | None:
    """Exit code of `child`; None where `life` was closed before."""
    while True:
        code = _reap(child)
        if code is not None:
            return code
        ready, _, _ = select.select([life, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
        if life in ready and not os.read(life, 4096):
            return None


def _reap(child: int) -> int | None:
    """Take note of all that ended; the exit code of `child` where it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = os.waitstatus_to_exitcode(status)


def _left(child: int) -> list[str]:
    """What the ended command left at work and did not end by itself, by name."""
    until = time.monotonic() + GRACE
    while _descendants(child) and time.monotonic() < until:
        time.sleep(_PAUSE)
        _reap(child)
    return [_name(pid) for pid in _descendants(child)]


def _end(child: int) -> None:
    """End everything below this process, what it starts meanwhile included."""
    began = time.monotonic()
    while found := _descendants(child):
        sign = signal.SIGTERM if time.monotonic() - began < TERM else signal.SIGKILL
        for pid in found:
            try:
                os.kill(pid, sign)
                os.kill(pid, signal.SIGCONT)  # a stopped one hears nothing
            except (ProcessLookupError, PermissionError):
                continue
        time.sleep(_PAUSE)
        _reap(child)
        if time.monotonic() - began > 10 * TERM:  # it hangs in the kernel, and dies with that
            return


def _descendants(child: int) -> list[int]:
    """Processes below this one; those of the command's own group where no parent tells."""
    parents = _parents()
    found, waiting = [], [os.getpid()]
    while waiting:
        above = waiting.pop()
        below = [pid for pid, (parent, _) in parents.items() if parent == above]
        found += below
        waiting += below
    grouped = [pid for pid, (_, group) in parents.items() if group == child]
    return sorted({*found, *grouped})


def _parents() -> dict[int, tuple[int, int]]:
    """Process → its parent and its group; not those that ended already."""
    if sys.platform != "linux":
        return _listed()
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  (pathlib takes as long to import as all the rest)
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
                    state, parent, group, *_ = stream.read().rpartition(")")[2].split()
            except (OSError, ValueError):
                continue
            if state not in "ZX":
                found[int(name)] = int(parent), int(group)
    return found


def _listed() -> dict[int, tuple[int, int]]:
    """The same where there is no /proc."""
    done = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,pgid=,stat="], capture_output=True)
    rows = [line.split() for line in done.stdout.decode("utf-8", "replace").split("\n")]
    alive = [row for row in rows if len(row) > 3 and not row[3].startswith("Z")]
    return {int(pid): (int(parent), int(group)) for pid, parent, group, *_ in alive if parent != str(done.args)}


def _name(pid: int) -> str:
    """The process's command line, cut short."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:  # noqa: PTH123
            words = stream.read(300).decode("utf-8", "replace").replace("\0", " ").strip()
    except OSError:
        words = ""
    return f"process {pid} ({words[:80]})" if words else f"process {pid}"


if __name__ == "__main__":
    if sys.argv[3:] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[3])})
    main(int(sys.argv[1]), sys.argv[2])
