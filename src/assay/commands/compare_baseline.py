"""What a candidate is compared with: another record or file, its own record's baseline, a floor, or a number.

Covers: which of them is meant, its numbers. Not covered: comparing (`commands.compare`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

from assay.commands import compare_score_source as scores
from assay.commands import compare_sides as sides
from assay.commands.compare_metric_options import MetricRow
from assay.commands.compare_new_examples import Side
from assay.commands.compare_options import Options
from assay.commands.compare_score_source import Rescoring
from assay.commands.compare_sides import SideSource
from assay.core.errors import UsageError
from assay.stats.strategy_replicates import ReplicateGroup


@dataclass(frozen=True)
class Base:
    """What the candidate is compared with. `side` is where its predictions are, None where it has none."""

    name: str
    numbers: ReplicateGroup | float
    side: Side | None
    identity: str = ""  # of the strategy, where a record says it
    hint: str = "dvc exp run"  # the command after which both sides have one ruler
    executions: Sequence[str] = ()  # how its replicates were made, where a record says it
    edited: Sequence[str] = ()  # cautions where its record says other numbers than its predictions score
    told_apart: bool = False  # its replicates are known to differ


def other(found: Sequence[SideSource], options: Options) -> SideSource | None:
    """The BASE that was named; None where the candidate's own record has its numbers, or is to say who it is.

    A strategy that the candidate's record measured anew has there seeds of its own, under the same ruler.
    """
    if len(found) == 1 or options.fixed is not None:
        return None
    base, candidate = found
    measured = candidate.is_record and (sides.strategy(candidate, "baseline") or "floor")
    return None if base.commit and measured in (base.name, base.commit) else base


def named(base: SideSource, candidate: SideSource, options: Options, direction: str, again: Rescoring | None) -> Base:
    """The candidate arm of another record, or the numbers of a file."""
    column = sides.column(base, options.column)
    direction = direction_of(base.name, sides.recorded(base, column), options, direction)
    group, edited = scores.group(base, column, direction, "candidate", again, finished_only=options.finished_only)
    side = _side(base, base.name, "candidate", group.values, group.diverged) if base.is_record else None
    identity, made = sides.identity(base, "candidate"), sides.executions(base, "candidate")
    return Base(base.name, group, side, identity, _hint(base, candidate), made, edited, base.told_apart)


def own(source: SideSource, metric: str, direction: str, options: Options, again: Rescoring | None) -> Base:
    """What the candidate's own record was measured against: its baseline arm, else its best floor."""
    if options.fixed is not None:
        return Base("fixed value", options.fixed, None)
    if not source.is_record:
        raise UsageError(f"{source.name} names no baseline", allowed="[BASE] CAND, or --fixed VALUE CAND")
    if "baseline" in source.table["arm"]:
        group, edited = scores.group(source, metric, direction, "baseline", again)
        side = _side(source, group.name, "baseline", group.values, group.diverged)
        identity, made = sides.identity(source, "baseline"), sides.executions(source, "baseline")
        told_apart = source.told_apart
        return Base(group.name, group, side, identity, executions=made, edited=edited, told_apart=told_apart)
    floor = scores.best_floor(source, metric, direction, again)
    if floor is None:
        raise UsageError(
            f"{source.name} records neither a baseline nor a floor", hint="name one: assay compare BASE CAND"
        )
    name, value = floor
    if sides.overlap(source) is not None and [*source.table["strategy"]].count(name) > 1:
        fitted = sides.group(source, metric, direction, "floor", floor=name)
        return Base(f"floor {name}", fitted, None, told_apart=True)
    side = None if name == scores.HUMAN else _side(source, f"floor {name}", name, [value])
    return Base(f"floor {name}", value, side)


def direction_of(name: str, recorded: MetricRow, options: Options, default: str = "") -> str:
    """What is better, as a side records it, a user says it, or the other side has it. Raises UsageError."""
    said = recorded.direction
    if said and options.direction and said != options.direction:
        raise UsageError(f"--direction is {options.direction}, but {name} records {said}", allowed=said)
    if not (said or options.direction or default):
        raise UsageError(
            f"{name} does not say whether more is better", hint="--direction maximize or --direction minimize"
        )
    return said or options.direction or default


def _side(source: SideSource, name: str, arm: str, values: Sequence[float], diverged: int = 0) -> Side | None:
    return Side(name, source.commit, arm, values, diverged) if source.commit else None


def _hint(baseline: SideSource, candidate: SideSource) -> str:
    """The command after which both sides have one ruler."""
    if not candidate.commit:
        return f"write both files with the same tool and ruler, or give {candidate.name} the same columns"
    name = quote(candidate.name)
    take = f"dvc exp apply {name}" if candidate.experiment else f"git switch --detach {name}"
    if not baseline.commit:
        return f"compare {candidate.name} with a revision: assay compare {name}"
    return f"{take} && dvc exp run -S baseline={baseline.commit}"
