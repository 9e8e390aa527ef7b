"""Loops of a task's own over the places of `machine.devices`: one replicate on each, in a process of its own.

Covers: which goes where and when, what follows from a failure. Not covered: what one is (`training.loop_replicates`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any

from assay.runtime import device_places
from assay.runtime.device_places import Place
from assay.training import replicate_process
from assay.training.loop_replicates import LoopAttempt, LoopReplicates
from assay.training.replicate_process import RunningReplicate


def train(
    group: LoopReplicates,
    numbers: Sequence[int],
    places: Sequence[Place],
    watch: str,
    seen: Callable[[list[dict[str, Any]]], None],
    recorder: str,
) -> None:
    """Train `numbers`, one on each place at a time, and hand each to the progress, which keeps it.

    `watch` and `recorder` name the modules that watch and record the first; `seen` is given what the watch found. Where
    one fails the others go on, with what is waiting, too; then the first failure is raised.
    """
    replicate_process.warm_up()
    waiting, free = list(numbers), device_places.teams(places, group.params.train.processes_per_replicate)
    running: list[_Running] = []
    failed: Exception | None = None
    try:
        while waiting or running:
            while waiting and free:
                number, team = waiting.pop(0), free.pop(0)
                names = (watch, recorder) if number == numbers[0] else ("", "")
                running.append(_Running(LoopAttempt(group, number, team, *names), team))
            wait([pipe for one in running for pipe in one.process.pipes])
            for one in [*running]:
                one.process.hear()
                if one.process.over:
                    running.remove(one)
                    free.append(one.team)
                    try:
                        one.end(group, seen)
                    except Exception as error:
                        failed = failed or error
    finally:
        for one in running:
            one.stop()
    if failed is not None:
        raise failed


class _Running:
    """An attempt, and its process on a place, or on a team of them."""

    def __init__(self, attempt: LoopAttempt, team: list[Place]) -> None:
        self.attempt, self.team = attempt, team
        self.process = RunningReplicate(attempt.job, attempt.group.ready, attempt.heard)

    def end(self, group: LoopReplicates, seen: Callable[[list[dict[str, Any]]], None]) -> None:
        """Keep what it trained. Raises what went wrong in it."""
        with self.attempt:
            try:
                answer = self.process.answer()
            finally:
                self.process.stop()
            group.told(self.attempt.heard, answer)
            self.attempt.keep(answer)
        if answer.watched:
            seen(answer.watched)

    def stop(self) -> None:
        with self.attempt:
            self.process.stop()
