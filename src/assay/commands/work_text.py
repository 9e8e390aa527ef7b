"""How far submitted work is, in words."""

from __future__ import annotations

from shlex import quote

from assay.commands.work_status import FAILED, LOST, LaunchState, WorkState
from assay.runtime.progress_line import duration
from assay.work.engine_protocol import QUEUED, RUNNING

#: requests of one state that are named
_NAMED = 5


def text(found: WorkState) -> str:
    """Every launch in a line, what failed and where below it, then replicates that machines disagree about."""
    lines = [line for one in found.launches for line in _launch(one)]
    for one in found.unequal:
        lines.append(
            f"{' and '.join(one.hosts)} made other bytes of replicate {one.name[:12]}: "
            f"both are set aside in {found.shared}/unequal/{one.name}"
        )
    return "\n".join(lines or [f"no work was submitted to {found.shared}; next: assay work -S lr=VALUE"])


def _launch(one: LaunchState) -> list[str]:
    counts = [f"{one.sealed} of {one.replicates} replicates sealed"]
    counts += [f"{count} {word}" for word in (RUNNING, QUEUED, FAILED, LOST) if (count := one.count(word))]
    left = one.seconds_left
    time = f"; about {duration(left)} left" if left else ""
    lines = [f"{one.launch.name} on {one.launch.engine} ({one.launch.label}): {', '.join(counts)}{time}"]
    for request in [each for each in one.requests if each.state == FAILED][:_NAMED]:
        numbers = ", ".join(map(str, request.numbers))
        said = f": {request.lines[-1]}" if request.lines else ""
        lines.append(f"  {request.arm} {numbers} failed on {request.host}{said}")
    if one.count(FAILED):
        lines.append(f"  next: assay work logs {one.launch.name} FOLDER")
    if lost := [each for each in one.requests if each.state == LOST]:
        lines += [f"  {line}" for line in lost[0].lines[-1:]]
        lines.append("  what is lost ended without a word: the same assay work submits it again")
    if one.sealed == one.replicates and one.replicates:
        settings = "".join(f" -S {quote(setting)}" for setting in one.launch.settings)
        lines.append(f"  next: dvc exp run{settings}")
    return lines
