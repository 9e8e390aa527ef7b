"""Stages of ours that run on this machine now, the commands that run them, and what they take, as /proc tells.

Covers: Linux; elsewhere nothing is found. Reads, and touches no process. Not covered: which experiment they belong to
(`history.running_experiments`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from assay.runtime import dvc_cli

_PROC = Path("/proc")
_PROGRAMS = ("assay", "__main__.py")
#: commands that run stages, in the work tree or in repositories of their own
_COMMANDS = (
    *("try", "sweep", "ablate", "sensitivity", "tune", "rates"),
    *("accept", "rebaseline", "guard", "profile"),
)
_DVC_RUNS = ("run", "exec-run")
#: processes between a stage and the command that it runs for
_ABOVE = 6
#: variables of a stage's environment that say for whom DVC runs it
_TOLD = ("DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV")


@dataclass(frozen=True)
class StageProcess:
    """`assay stage NAME ARGUMENT…` at work in `folder`; `began` in seconds of the epoch."""

    pid: int
    parent: int
    name: str
    arguments: tuple[str, ...]
    folder: Path
    began: float
    told: Mapping[str, str] = field(default_factory=dict)  # variables of DVC's, where they are set


@dataclass(frozen=True)
class RunningCommand:
    """A command that runs stages, at work in `folder`: `dvc exp run`, `assay sweep`."""

    pid: int
    label: str
    folder: Path


@dataclass(frozen=True)
class MachineUse:
    """What processes take: `processors` busy on average since the look before, None at the first; bytes of memory."""

    processors: float | None
    memory: int


def is_stage(command: Sequence[str]) -> bool:
    """Whether a command line starts a stage."""
    return any(Path(word).name in _PROGRAMS and after == "stage" for word, after in pairwise(command[:4]))


def find() -> list[StageProcess]:
    """All that this user may look at, the one that was started last at the end."""
    return sorted(_find(), key=lambda one: (one.began, one.pid))


def _find() -> Iterator[StageProcess]:
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):  # it ended meanwhile, or is somebody else's
            command = _words(folder / "cmdline")
            if is_stage(command) and (words := command[command.index("stage") + 1 :]):
                stat = _stat(folder)
                environment = dict(word.partition("=")[::2] for word in _words(folder / "environ"))
                yield StageProcess(
                    pid=int(folder.name),
                    parent=int(stat[1]),
                    name=words[0],
                    arguments=tuple(word for word in words[1:] if word),
                    folder=(folder / "cwd").readlink(),
                    began=_began(stat),
                    told={name: environment[name] for name in _TOLD if environment.get(name)},
                )


def commands() -> list[RunningCommand]:
    """Commands of this user that run stages."""
    found = []
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if label := label_of(_words(folder / "cmdline")):
                found.append(RunningCommand(int(folder.name), label, (folder / "cwd").readlink()))
    return sorted(found, key=lambda one: one.pid)


def label_of(command: list[str]) -> str:
    """What a command line that runs stages is called; "" where it runs none."""
    words = [word for word in command if word]
    if dvc_cli.is_dvc(words) or "dvc" in {Path(word).name for word in words[:4]}:
        if "repro" in words:
            return "dvc repro"
        runs = any(group in ("exp", "experiments") and verb in _DVC_RUNS for group, verb in pairwise(words))
        return "dvc exp run" if runs else ""
    begins = (place for place, word in enumerate(words[:4]) if Path(word).name in _PROGRAMS)
    rest = words[next(begins, len(words)) + 1 :]
    return f"assay {rest[0]}" if rest and rest[0] in _COMMANDS else ""


def started_by(pid: int) -> str:
    """Label of the next command above a process that runs stages; "" where there is none."""
    for _ in range(_ABOVE):
        with suppress(OSError, ValueError, IndexError):
            pid = int(_stat(_PROC / str(pid))[1])
            if label := label_of(_words(_PROC / str(pid) / "cmdline")):
                return label
            continue
        break
    return ""


class UseMeter:
    """Processor time and memory of processes with all that they started, from one look to the next."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def read(self, pids: Sequence[int]) -> MachineUse | None:
        """Of `pids` and all below them now; None where nothing can be read."""
        tree = _below(pids)
        if not tree:
            self._before = None
            return None
        now, spent = time.monotonic(), sum(map(_spent, tree))
        before, self._before = self._before, (now, spent)
        busy = None
        if before is not None and now > before[0] and spent >= before[1]:
            busy = (spent - before[1]) / (now - before[0])
        return MachineUse(busy, sum(map(_memory, tree)))


def _below(pids: Sequence[int]) -> set[int]:
    parents: dict[int, int] = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(folder.name)] = int(_stat(folder)[1])
    found = set(pids) & parents.keys()
    new = found
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found


def _spent(pid: int) -> float:
    """Seconds of processor time, those of its children that ended among them."""
    with suppress(OSError, ValueError, IndexError):
        return sum(map(int, _stat(_PROC / str(pid))[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _memory(pid: int) -> int:
    """Bytes; of pages that several processes share, its part."""
    folder = _PROC / str(pid)
    with suppress(OSError, ValueError, IndexError):
        lines = (folder / "smaps_rollup").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    with suppress(OSError, ValueError, IndexError):
        return int((folder / "statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _words(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8", "surrogateescape").split("\0")


def _stat(folder: Path) -> list[str]:
    """Fields of /proc/PID/stat from the third (the state) on."""
    return (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _began(stat: Sequence[str]) -> float:
    up = float((_PROC / "uptime").read_text(encoding="utf-8").split()[0])
    return time.time() - (up - int(stat[19]) / os.sysconf("SC_CLK_TCK"))
