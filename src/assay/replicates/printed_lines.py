"""What each replicate of a loop printed: a file each, `logs/ARM/NUMBER.log`, where dvc.yaml declares that folder.

Secrets are masked before lines come here. Covers: writing them as they come, and again for replicates that are used
again. Not covered: the log of the whole arm (`replicates.training_progress`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.core.schemas import MeasureRequest
from assay.replicates.replicate_cache import ReplicateCache
from assay.replicates.replicate_result import OWN_LOOP, Outcome
from assay.runtime import files

#: lines of a replicate that are kept
MOST_LINES = 20_000
#: said in the folder where no replicate prints, as DVC warns of an empty one
README, NOTHING = "README.txt", "no replicate here is a loop of the task's own, fit(), which could print\n"


class PrintedLines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lines that one replicate printed, kept beside it in the cache."""

    lines: list[str]
    left_out: int  # lines behind these

    @property
    def text(self) -> str:
        """The content of its file."""
        more = [f"… {self.left_out} more lines, which are not kept"] if self.left_out else []
        return "".join(f"{line}\n" for line in (*self.lines, *more))


class PrintedLog:
    """The lines of one replicate while it runs. `folder`: where its file goes; "" for nowhere."""

    def __init__(self, folder: str, number: int) -> None:
        self._lines: list[str] = []
        self._count = 0
        self._stream = None
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._stream = file(folder, number).open("w", encoding="utf-8", buffering=1)

    def take(self, line: str) -> bool:
        """Keep a line; false for one too many."""
        self._count += 1
        if self._count > MOST_LINES:
            return False
        self._lines.append(line)
        if self._stream is not None:
            self._stream.write(line + "\n")
        return True

    @property
    def left_out(self) -> int:
        """Lines that were too many."""
        return max(0, self._count - MOST_LINES)

    def close(self) -> PrintedLines:
        """All lines, when there are no more."""
        found = PrintedLines(self._lines, self.left_out)
        if self._stream is not None:
            self._stream.write(PrintedLines([], found.left_out).text)
            self._stream.close()
        return found


def file(folder: str | Path, number: int) -> Path:
    """The log of one replicate."""
    return Path(folder) / f"{number}.log"


def write_again(request: MeasureRequest, outcomes: Sequence[Outcome], store: ReplicateCache) -> None:
    """Files of replicates that came from the cache, as they printed when they trained; no others stay."""
    if not request.logs:
        return
    loops = {one.number: one for one in outcomes if one.execution == OWN_LOOP}
    for path in Path(request.logs).glob("*.log"):
        if path.stem not in map(str, loops):
            path.unlink()
    for number, one in loops.items():
        if one.reused:
            known = store.recall(PrintedLines, "printed", number)
            text = "it was trained before, and what it printed was not kept\n" if known is None else known.text
            files.write_text(file(request.logs, number), text)
    if not loops:
        say_nothing(request.logs)


def say_nothing(folder: str | Path) -> None:
    """Say in the folder that no replicate could print."""
    files.write_text(Path(folder) / README, NOTHING)
