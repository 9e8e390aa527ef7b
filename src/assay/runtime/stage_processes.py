"""Stages of ours that run on this machine now, the commands that run them, and what they take, as /proc tells.

Covers: Linux; elsewhere nothing is found. Reads, and touches no process. Not covered: which experiment they belong to
(`history.live_runs`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from assay.runtime import dvc_cli

_PROC = "/proc"
_PROGRAMS = ("assay", "__main__.py")
#: commands that run stages, in the work tree or in repositories of their own
_COMMANDS = (
    *("try", "sweep", "ablate", "sensitivity", "tune", "rates"),
    *("accept", "rebaseline", "guard", "profile"),
)
_DVC_RUNS = ("run", "exec-run")
#: words of a command line of DVC's that runs nothing in the workspace
_ELSEWHERE = {"--temp", "--queue", "--run-all", "exec-run", "queue-worker"}
#: processes above a stage that are looked at
_ABOVE = 12
#: variables of a stage's environment that say for whom DVC runs it
_TOLD = ("DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV")
#: words of a command line that are looked at for the program
_FIRST = 4


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

    label: str
    folder: Path
    began: float  # seconds of the epoch
    in_workspace: bool  # whether it may run an experiment in the work tree


@dataclass(frozen=True)
class MachineUse:
    """What processes take: `processors` busy on average since the look before, None at the first; bytes of memory."""

    processors: float | None
    memory: int


@dataclass(frozen=True)
class _Process:
    words: list[str]
    stat: list[str]  # fields of /proc/PID/stat from the third (the state) on

    @property
    def parent(self) -> int:
        return int(self.stat[1])

    @property
    def spent(self) -> float:
        """Seconds of processor time, those of its children that ended among them."""
        return sum(map(int, self.stat[11:15])) / os.sysconf("SC_CLK_TCK")


class ProcessTable:
    """All processes at one moment; of those of other users no more than that they are there."""

    def __init__(self) -> None:
        self._all = {pid: found for pid in _pids() if (found := _process(pid)) is not None}
        self._boot = time.time() - _uptime()

    def stages(self) -> list[StageProcess]:
        """Stages of this user, the one that was started last at the end."""
        found = (self._stage(pid, one) for pid, one in self._all.items() if is_stage(one.words))
        return sorted((one for one in found if one is not None), key=lambda one: (one.began, one.pid))

    def commands(self) -> list[RunningCommand]:
        """Commands of this user that run stages, the one that was started last at the end."""
        found = []
        for pid, one in self._all.items():
            if (label := label_of(one.words)) and (folder := _link(pid, "cwd")) is not None:
                elsewhere = label != "dvc repro" and bool(_ELSEWHERE & set(one.words))
                found.append(RunningCommand(label, folder, self._began(one), not elsewhere))
        return sorted(found, key=lambda one: one.began)

    def started_by(self, pid: int) -> str:
        """Label of the topmost command above a process that runs stages; "" where there is none."""
        found = ""
        for _ in range(_ABOVE):
            pid = self._all[pid].parent if pid in self._all else 0
            found = (label_of(self._all[pid].words) if pid in self._all else "") or found
        return found

    def below(self, pids: Sequence[int]) -> dict[int, float]:
        """`pids` and all that they started and that is at work → seconds of processor time."""
        found = new = set(pids) & self._all.keys()
        while new:
            new = {pid for pid, one in self._all.items() if one.parent in new} - found
            found = found | new
        return {pid: self._all[pid].spent for pid in found}

    def _stage(self, pid: int, one: _Process) -> StageProcess | None:
        words = one.words[one.words.index("stage") + 1 :]
        folder = _link(pid, "cwd")
        if folder is None or not words:
            return None
        environment = dict(word.partition("=")[::2] for word in _words(pid, "environ"))
        told = {name: environment[name] for name in _TOLD if environment.get(name)}
        return StageProcess(pid, one.parent, words[0], tuple(words[1:]), folder, self._began(one), told)

    def _began(self, one: _Process) -> float:
        return self._boot + int(one.stat[19]) / os.sysconf("SC_CLK_TCK")


class UseMeter:
    """Processor time and memory of processes with all that they started, from one look to the next."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def read(self, table: ProcessTable, pids: Sequence[int]) -> MachineUse | None:
        """Of `pids` and all below them now; None where there are none."""
        tree = table.below(pids)
        if not tree:
            self._before = None
            return None
        now, spent = time.monotonic(), sum(tree.values())
        before, self._before = self._before, (now, spent)
        busy = None
        if before is not None and now > before[0] and spent >= before[1]:
            busy = (spent - before[1]) / (now - before[0])
        return MachineUse(busy, sum(map(_memory, tree)))


def is_stage(command: Sequence[str]) -> bool:
    """Whether a command line starts a stage."""
    return any(after == "stage" and _is_ours(word) for word, after in pairwise(command[:_FIRST]))


def label_of(words: Sequence[str]) -> str:
    """What a command line that runs stages is called; "" where it runs none."""
    if dvc_cli.is_dvc(list(words)) or any(os.path.basename(word) == "dvc" for word in words[:_FIRST]):  # noqa: PTH119
        if "repro" in words:
            return "dvc repro"
        if "queue-worker" in words:  # it waits for a while when all is done, then ends by itself
            return "dvc queue"
        runs = any(group in ("exp", "experiments") and verb in _DVC_RUNS for group, verb in pairwise(words))
        return "dvc exp run" if runs else ""
    begins = next((place for place, word in enumerate(words[:_FIRST]) if _is_ours(word)), None)
    command = words[begins + 1] if begins is not None and begins + 1 < len(words) else ""
    return f"assay {command}" if command in _COMMANDS else ""


def _is_ours(word: str) -> bool:
    return os.path.basename(word) in _PROGRAMS  # noqa: PTH119  (a path costs ten times as much)


def _pids() -> list[int]:
    with suppress(OSError):
        return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208
    return []


def _process(pid: int) -> _Process | None:
    """None where it ended meanwhile."""
    try:
        stat = _read(pid, "stat").rpartition(")")[2].split()
        return _Process(_words(pid, "cmdline"), stat) if len(stat) > 19 else None
    except OSError:
        return None


def _memory(pid: int) -> int:
    """Bytes; of pages that several processes share, its part."""
    with suppress(OSError, ValueError, IndexError, StopIteration):
        lines = _read(pid, "smaps_rollup").split("\n")
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    with suppress(OSError, ValueError, IndexError):
        return int(_read(pid, "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _link(pid: int, name: str) -> Path | None:
    """None where it ended meanwhile, or is somebody else's."""
    try:
        return Path(os.readlink(f"{_PROC}/{pid}/{name}"))  # noqa: PTH115
    except OSError:
        return None


def _words(pid: int, name: str) -> list[str]:
    with suppress(OSError):
        return [word for word in _read(pid, name).split("\0") if word]
    return []


def _read(pid: int | str, name: str) -> str:
    with open(f"{_PROC}/{pid}/{name}", encoding="utf-8", errors="surrogateescape") as stream:  # noqa: PTH123
        return stream.read()


def _uptime() -> float:
    try:
        with open(f"{_PROC}/uptime", encoding="utf-8") as stream:  # noqa: PTH123
            return float(stream.read().split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0
