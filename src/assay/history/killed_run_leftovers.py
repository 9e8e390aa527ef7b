"""What a killed run leaves behind: DVC's refs, a detached HEAD, locks, processes that live on.

Covers: telling a run that is under way from one that died. Not covered: mending; every line of
`assay status` says how.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from assay.runtime import dvc_cli, dvc_yaml, parent_watch, stage_processes
from assay.runtime.git_objects import Ref

#: DVC leaves these behind after `exp run` and `exp apply` that went well, too
HARMLESS = ("refs/exps/exec/EXEC_HEAD", "refs/exps/exec/EXEC_APPLY")
#: where DVC notes who reads and writes what
RWLOCK = Path(".dvc", "tmp", "rwlock")
#: lock files of Git, and of DVC's own writing of refs
LOCKS = ("index.lock", "HEAD.lock", "packed-refs.lock", "refs/exps/*.lock", "refs/exps/exec/*.lock")


_LOOKING = {(group, verb) for group in ("exp", "experiments") for verb in ("show", "list", "ls", "diff")}


@dataclass(frozen=True)
class Leftovers:
    running: list[int]  # processes of DVC that hold a lock of this project
    refs: list[str]  # refs/exps/exec/… that DVC sets while it runs
    orphans: list[int]  # stages whose parent is gone
    locks: list[Path]  # lock files of Git, and DVC's own where it was killed while writing it


def find(root: Path, refs: dict[str, Ref], git_folder: Path) -> Leftovers:
    """What is under way or was left in the project at `root`."""
    processes = _processes(root)
    running = [pid for pid in sorted({*_lock_holders(root), *_drivers(processes)}) if parent_watch.alive(pid)]
    return Leftovers(
        running=running,
        refs=[name for name in refs if name.startswith("refs/exps/exec/") and name not in HARMLESS],
        orphans=[
            pid for pid, (parent, command) in processes.items() if stage_processes.is_stage(command) and parent == 1
        ],
        locks=sorted(lock for pattern in LOCKS for lock in git_folder.glob(pattern))
        + ([] if running else _cut_short(root)),  # while DVC runs it may be under way
    )


def _rwlock(root: Path) -> Path:
    return (dvc_yaml.dvc_root(root) or root) / RWLOCK


def _cut_short(root: Path) -> list[Path]:
    """DVC's rwlock, where it is no JSON and no run is possible."""
    path = _rwlock(root)
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return []
    except (ValueError, RecursionError):
        return [path]
    return []


def _lock_holders(root: Path) -> set[int]:
    """Processes named in DVC's rwlock."""
    try:
        held = json.loads(_rwlock(root).read_text(encoding="utf-8"))
        entries = [entry for lock in held.values() for kind in lock.values() for entry in _list(kind)]
        return {int(entry["pid"]) for entry in entries if not _reads(str(entry.get("cmd")).split())}
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return set()


def _list(value: object) -> list[dict[str, Any]]:
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, dict)]


def _processes(root: Path) -> dict[int, tuple[int, list[str]]]:
    """Python processes that work in `root`: pid → (parent, command line). Empty where there is no /proc."""
    found = {}
    home = str(root.resolve())
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            ours = stage_processes.is_stage(command) or _is_driver(command)
            if ours and str((folder / "cwd").readlink()) == home:
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                found[int(folder.name)] = (int(stat.rpartition(")")[2].split()[1]), command)
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile, or is somebody else's
    return found


def _is_driver(command: list[str]) -> bool:
    words = {Path(word).name for word in command[:4]}
    ours = "dvc" in words or dvc_cli.is_dvc(command)
    return ours and bool({"exp", "experiments", "repro"} & set(command)) and not _reads(command)


def _reads(command: list[str]) -> bool:
    """Whether this is a command of DVC's that only looks, however long it waits."""
    words = [word for word in command if not word.startswith("-")]
    return any(pair in _LOOKING for pair in pairwise(words))


def _drivers(processes: dict[int, tuple[int, list[str]]]) -> set[int]:
    return {pid for pid, (_, command) in processes.items() if _is_driver(command)}
