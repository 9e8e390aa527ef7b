"""Events of `assay watch --json-lines`: what is new from one look to the next, one JSON object each.

Covers: which events there are, and their keys. Not covered: printing, time stamps (`cli.watch_run`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assay.report.watched_run import CACHED, DIVERGED, DONE, TRAINING, WatchedArm, WatchedResult, WatchedRun

Event = dict[str, Any]


def of_look(before: Mapping[str, WatchedRun], runs: Sequence[WatchedRun], *, progress: bool) -> Iterator[Event]:
    """Events of a look after another; `before`: experiment → run of that. `progress`: whether how far it is counts."""
    for run in runs:
        known = before.get(run.experiment)
        if known is None or known.stage != run.stage:
            yield {
                "event": "stage",
                "experiment": run.experiment,
                "base": run.base,
                "changed": list(run.changed),
                "stage": run.stage,
            }
        for arm in run.arms:
            yield from _arm(
                run.experiment, next((one for one in known.arms if one.arm == arm.arm), None) if known else None, arm
            )
        if progress:
            yield _progress(run)


def of_end(experiment: str, row: WatchedResult | None) -> Event:
    """A run that ended; without `verdict` where none is recorded."""
    found: Event = {"event": "ended", "experiment": experiment}
    if row is not None:
        found |= {"verdict": row.verdict, "metric": row.metric, "metric_version": row.metric_version}
        found |= {"mean": row.mean, "delta": row.delta, "ci_low": row.ci_low, "ci_high": row.ci_high}
    return _known(found)


def idle() -> Event:
    return {"event": "idle", "next": "dvc exp run"}


def _arm(experiment: str, before: WatchedArm | None, arm: WatchedArm) -> Iterator[Event]:
    head: Event = {"experiment": experiment, "arm": arm.arm}
    for point in arm.new:
        yield _known(
            {
                "event": "epoch",
                **head,
                "replicate": point.replicate,
                "seed": point.seed,
                "epoch": point.epoch,
                "train_loss": point.train_loss,
                "validation_loss": point.validation_loss,
                "values": dict(point.values) or None,
            }
        )
    known = {one.number: one.state for one in before.replicates} if before else {}
    for one in arm.replicates:
        if one.state in (DONE, CACHED, DIVERGED) and known.get(one.number) != one.state:
            state = {"replicate": one.number, "seed": one.seed, "state": one.state, "seconds": one.seconds}
            yield _known({"event": "replicate", **head, **state})


def _progress(run: WatchedRun) -> Event:
    arms = [
        _known(
            {
                "arm": arm.arm,
                "strategy": arm.strategy or None,
                "state": arm.state,
                "replicates": arm.planned,
                "ended": arm.ended,
                "diverged": arm.count(DIVERGED),
                "epoch": max((one.epoch for one in arm.replicates if one.epoch is not None), default=None),
                "epochs": arm.epochs,
                "seconds_left": _rounded(arm.seconds_left) if arm.state == TRAINING else None,
                "accelerator_busy": arm.accelerator,
                "device_memory": arm.device_memory,
                "data_wait": None if arm.data_wait is None else round(arm.data_wait, 4),
            }
        )
        for arm in run.arms
    ]
    use = {"processors_busy": _rounded(run.processors), "processors": run.of_processors, "memory": run.memory}
    head = {"event": "progress", "experiment": run.experiment, "stage": run.stage, "seconds": _rounded(run.spent)}
    return _known({**head, "arms": arms, **use})


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 2)


def _known(event: Event) -> Event:
    """Without what nobody knows."""
    return {key: value for key, value in event.items() if value is not None}
