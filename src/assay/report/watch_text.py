"""A run under way as text: a screen for a terminal, one whole line elsewhere.

Covers: what fits into so many columns and lines; numbers that nobody knows are left out. Not covered: printing, and
when (`cli.watch_run`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from assay.core import sanitize_output
from assay.report import sparkline
from assay.report.watched_run import (
    CACHED,
    DIVERGED,
    DONE,
    TRAINING,
    WAITING,
    WatchedArm,
    WatchedReplicate,
    WatchedResult,
    WatchedRun,
)

#: said where nothing runs
IDLE = "nothing runs here; next: dvc exp run"
#: said between two stages, and behind the last one
BETWEEN = "DVC is at work"
#: command that ended → the one that shows what came of it
_AFTER = {"dvc repro": "assay report", "dvc exp run": "assay show", "assay accept": "assay log"}
#: marks of a curve
_WIDTH = 32
#: lines of replicates of an arm that are shown on any terminal
_FEWEST = 3
_MINUTE, _HOUR = 60, 3600
_KIB = 1024.0


def screen(runs: Sequence[WatchedRun], columns: int, lines: int, marks: str = sparkline.BLOCKS) -> list[str]:
    """At most `lines` lines of at most `columns` characters about all `runs`."""
    rows = max(_FEWEST, (lines - 7 * len(runs)) // max(1, 2 * len(runs)))
    shown = [line for run in runs for line in [*_run(run, columns, rows, marks), ""]][:-1]
    if len(shown) > lines:
        shown = [*shown[: lines - 1], f"… and {len(shown) - lines + 1} more lines"]
    return [_cut(line, columns) for line in shown]


def line(run: WatchedRun) -> str:
    """All of it that matters on one line."""
    arm = next((one for one in reversed(run.arms) if one.state == TRAINING), None)
    told = f": {arm.arm}: {_progress(arm)}" if arm else ""
    use = _use(run)
    stage = sanitize_output.line(run.stage or BETWEEN)
    return f"{sanitize_output.line(run.experiment)}: {stage}{told}{f'; {use}' if use else ''}"


def starting(commands: Sequence[str]) -> str:
    """Of commands at work while no stage is."""
    return f"{', '.join(commands)} is at work; no stage runs now"


def ended(experiment: str, row: WatchedResult | None) -> str:
    """What became of a run that ended, and the next command."""
    name = sanitize_output.line(experiment)
    if row is None:
        if following := _AFTER.get(experiment, "assay show" if experiment.startswith("assay ") else ""):
            return f"{name} has ended; next: {following}"
        return f"{name} ended, and no verdict is recorded under that name; next: assay status"
    mean = "" if row.mean is None else f"  {row.metric} {row.mean:.4f}"
    delta = "" if row.delta is None else f"  {row.delta:+.4f} against {row.baseline}"
    return f"{name}: {sanitize_output.line(f'{row.verdict}{mean}{delta}')}; next: assay report {name}"


def duration(seconds: float) -> str:
    """`12 s`, `1 min 24 s`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    return (
        f"{whole // _MINUTE} min {whole % _MINUTE} s"
        if whole < _HOUR
        else f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    )


def size(count: float) -> str:
    """`812 MiB`, `1.2 GiB`."""
    mib = count / _KIB / _KIB
    return f"{mib:.0f} MiB" if mib < _KIB else f"{mib / _KIB:.1f} GiB"


def _run(run: WatchedRun, columns: int, rows: int, marks: str) -> Iterable[str]:
    stage = f"stage {run.stage}" if run.stage else BETWEEN
    spent = "" if run.spent is None else f", {duration(run.spent)} so far"
    yield sanitize_output.line(f"{run.experiment}: {stage}{spent}")
    if run.changed:
        yield sanitize_output.line(f"  {' · '.join(run.changed)}")
    curves = [one.curve for arm in run.arms for one in arm.replicates]
    scale = sparkline.extent(curves)
    for arm in run.arms:
        yield from _arm(arm, columns, rows, scale, marks)
    if use := _use(run):
        yield f"  {use}"


def _arm(arm: WatchedArm, columns: int, rows: int, scale: tuple[float, float] | None, marks: str) -> Iterable[str]:
    name = f" {arm.strategy}" if arm.strategy else ""
    yield sanitize_output.line(f"  {arm.arm}{name}{f': {said}' if (said := _progress(arm)) else ''}")
    shown = [] if arm.state == WAITING else _chosen(arm.replicates, rows)
    if not shown:
        return
    table = [_mean(arm), *map(_cells, shown)]
    widths = [max(len(cells[place]) for cells, _ in table) for place in range(len(table[0][0]))]
    for cells, curve in table:
        text = "    " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        drawn = sparkline.sparkline(curve, min(_WIDTH, columns - len(text) - 2), scale, marks)
        yield f"{text}  {drawn}".rstrip()
    if left := [one for one in arm.replicates if one not in shown]:
        counts = (
            (state, sum(one.state == state for one in left)) for state in (TRAINING, DONE, CACHED, DIVERGED, WAITING)
        )
        yield f"    … and {len(left)} more: {', '.join(f'{count} {state}' for state, count in counts if count)}"


def _progress(arm: WatchedArm) -> str:
    """`7 of 10 replicates, 1 diverged, epoch 43 of 100, about 1 min 24 s left`."""
    if not arm.planned:
        return "nothing to train" if arm.state == DONE else ""
    if arm.state == WAITING:
        return f"{arm.planned} replicates, not begun"
    said = [f"{arm.ended} of {arm.planned} replicates"]
    for state, word in ((CACHED, "from the cache"), (DIVERGED, "diverged")):
        if count := arm.count(state):
            said.append(f"{count} {word}")
    now = [one.epoch for one in arm.replicates if one.state == TRAINING and one.epoch is not None]
    if now and arm.state == TRAINING:
        said.append(f"epoch {max(now):g}{f' of {arm.epochs}' if arm.epochs else ''}")
    if arm.seconds_left is not None and arm.ended < arm.planned:
        said.append(f"about {duration(arm.seconds_left)} left")
    return ", ".join(said)


def _chosen(replicates: Sequence[WatchedReplicate], most: int) -> list[WatchedReplicate]:
    """Those that have begun and are shown: at work first, then those that ended last; in the order of their numbers."""
    order = {TRAINING: 0, DIVERGED: 1, DONE: 2, CACHED: 3}
    begun = [one for one in replicates if one.state in order]
    best = sorted(begun, key=lambda one: (order[one.state], -one.number))[:most]
    return sorted(best, key=lambda one: one.number)


def _mean(arm: WatchedArm) -> tuple[list[str], Sequence[float]]:
    """Of the replicates that are done, else of all that have begun."""
    chosen = [one for one in arm.replicates if one.state in (DONE, CACHED) and one.curve]
    chosen = chosen or [one for one in arm.replicates if one.state == TRAINING and one.curve]
    train = [one.train_loss for one in chosen if one.train_loss is not None]
    validation = [one.validation_loss for one in chosen if one.validation_loss is not None]
    cells = [
        "mean",
        f"of {len(chosen)}" if chosen else "",
        *map(_loss, ("train", "validation"), map(_average, (train, validation))),
    ]
    return cells, sparkline.mean([one.curve for one in chosen])


def _cells(one: WatchedReplicate) -> tuple[list[str], Sequence[float]]:
    state = f"epoch {one.epoch:g}" if one.state == TRAINING and one.epoch is not None else one.state
    if one.says:
        return [str(one.number), state, sanitize_output.cut(sanitize_output.line(one.says), 60), ""], []
    return [str(one.number), state, _loss("train", one.train_loss), _loss("validation", one.validation_loss)], one.curve


def _loss(name: str, value: float | None) -> str:
    return "" if value is None else f"{name} {value:.4g}"


def _average(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _use(run: WatchedRun) -> str:
    """`1.9 of 2 processors busy · 812 MiB of memory · accelerator 87 % busy · 3 % of the time waiting for data`."""
    said = []
    if run.processors is not None:
        of = f" of {run.of_processors}" if run.of_processors else ""
        said.append(f"{run.processors:.1f}{of} processors busy")
    if run.memory is not None:
        said.append(f"{size(run.memory)} of memory")
    training = [arm for arm in run.arms if arm.state == TRAINING]
    for arm in training:
        whose = f"{arm.arm}: " if len(training) > 1 else ""
        if arm.accelerator is not None:
            memory = f", {size(arm.device_memory)}" if arm.device_memory else ""
            said.append(f"{whose}accelerator {arm.accelerator} % busy{memory}")
        if arm.data_wait is not None:
            said.append(f"{whose}{100 * arm.data_wait:.0f} % of the time waiting for data")
    return " · ".join(said)


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else f"{text[: max(columns - 1, 0)]}…"
