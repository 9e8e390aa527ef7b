"""The replicates of a request whose task brings its own loop: one after another, each in a process of its own.

Covers: curves, checkpoints, notes of each; new predictions by the task's `load()`. Not covered: which of them the
cache has (`training.missing_replicates`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from assay.core import sanitize_output
from assay.core.params_yaml import Params
from assay.core.schemas import FOREGROUND, MeasureRequest, Note
from assay.replicates import safetensors_check
from assay.replicates.assemble_measurement import ignored
from assay.replicates.printed_lines import PrintedLog
from assay.replicates.replicate_cache import ReplicateCache
from assay.replicates.replicate_result import Outcome, Point
from assay.replicates.training_progress import Progress
from assay.runtime.device_places import Place
from assay.training import custom_fit, loop_checkpoints, replicate_process
from assay.training.loop_checkpoints import LoopCheckpoints
from assay.training.random_streams import Streams
from assay.training.replicate_process import ReadyJob, ReplicateAnswer, ReplicateJob


class LoopReplicates:
    """Trains, or predicts, one replicate after another. `peak_memory`: bytes, of the largest process so far."""

    def __init__(
        self, request: MeasureRequest, params: Params, ready: ReadyJob, store: ReplicateCache, progress: Progress
    ) -> None:
        self.request, self.params, self.ready = request, params, ready
        self.store, self.progress = store, progress
        self.peak_memory = 0

    def train(
        self,
        numbers: Sequence[int],
        watch: str = "",
        seen: Callable[[list[dict[str, Any]]], None] = ignored,
        recorder: str = "",
    ) -> None:
        """Train these and hand each to the progress, which keeps it. `watch` and `recorder` name the modules that watch
        and record the first of them; `seen` is given what the watch found."""
        if len(numbers) > 1 and self.request.execution != FOREGROUND:
            replicate_process.warm_up()
        for place, number in enumerate(numbers):
            with LoopAttempt(self, number, (), *(("", "") if place else (watch, recorder))) as attempt:
                answer = self._answer(attempt.job, attempt.heard)
                attempt.keep(answer)
            if answer.watched:
                seen(answer.watched)

    def can_predict(self, outcome: Outcome) -> bool:
        """Whether the task's load() can predict new examples by the weights of `outcome`."""
        return self.ready.task.load is not None and bool(safetensors_check.count(outcome.weights))

    def predict(self, outcome: Outcome) -> None:
        """Predictions of this evaluated part, by weights that have not seen it."""
        with loop_checkpoints.checkpoints("", self.store.names, outcome.number) as unused:
            job = ReplicateJob(
                self.request, self.params, self.ready.task.root, outcome.number, unused.folder, outcome.weights
            )
            outcome.predictions = self._answer(job, _Heard(self, outcome.number, unused, "")).predictions
        assert outcome.predictions is not None
        outcome.diverged = outcome.diverged or custom_fit.divergence(outcome.predictions)

    def _answer(self, job: ReplicateJob, heard: _Heard) -> ReplicateAnswer:
        here = self.request.execution == FOREGROUND
        answer = (replicate_process.done_here if here else replicate_process.run)(job, self.ready, heard)
        self.told(heard, answer)
        return answer

    def told(self, heard: _Heard, answer: ReplicateAnswer) -> None:
        """Take what a finished replicate says of memory and of kernels."""
        heard.close()
        self.peak_memory = max(self.peak_memory, answer.peak_memory)
        known = self.store.nondeterministic
        known += [name for name in answer.nondeterministic if name not in known]


class LoopAttempt:
    """One replicate on its way: its checkpoints, its job, and what it tells; a context that ends with the attempt."""

    def __init__(self, group: LoopReplicates, number: int, places: Sequence[Place], watch: str, recorder: str) -> None:
        self.group, self.number = group, number
        self._ended = ExitStack()
        kept = loop_checkpoints.checkpoints(group.request.cache, group.store.names, number)
        self._kept = self._ended.enter_context(kept)
        self.heard = _Heard(group, number, self._kept, group.request.logs)
        if self._kept.resumes:
            group.progress.say(f"replicate {number} resumes from what an interrupted run left in data.checkpoints")
        self.job = ReplicateJob(
            group.request,
            group.params,
            group.ready.task.root,
            number,
            self._kept.folder,
            watch=watch,
            recorder=recorder,
            places=tuple((one.number, one.visible) for one in places),
        )

    def __enter__(self) -> LoopAttempt:
        return self

    def __exit__(self, *error: Any) -> None:
        self._ended.__exit__(*error)

    def keep(self, answer: ReplicateAnswer) -> None:
        """Hand the trained replicate on; once it is kept its checkpoints have done their work."""
        group = self.group
        assert answer.outcome is not None
        group.store.remember(self.heard.printed.close(), "printed", self.number)
        group.progress.finished(replace(answer.outcome, curve=self.heard.curve))
        if not any(note.kind == "uncached" for note in group.store.notes):
            self._kept.clear()


class _Heard:
    """What one replicate tells while it runs."""

    def __init__(self, group: LoopReplicates, number: int, kept: LoopCheckpoints, logs: str) -> None:
        self.group, self.number, self.kept = group, number, kept
        self.printed = PrintedLog(logs, number)
        self.seed = Streams(group.request.seed, group.request.purpose, number).display
        self._points: dict[float, Point] = {}
        for point in kept.points():
            self._take(point)

    def __call__(self, event: Point | Note | str) -> None:
        if isinstance(event, Point):
            self._take(event)
            self.kept.remember(event)
            self.group.progress.said(self.number, self.seed, event)
        elif isinstance(event, Note):
            if event not in self.group.store.notes:
                self.group.store.notes.append(event)
        elif event.strip():
            line = sanitize_output.line(event)
            if self.printed.take(line):
                self.group.progress.log(f"replicate {self.number} | {line}")

    def close(self) -> None:
        if more := self.printed.left_out:
            self.group.progress.log(f"replicate {self.number} | … {more} more lines, which are not kept")

    @property
    def curve(self) -> list[Point]:
        """All points by epoch."""
        return [self._points[epoch] for epoch in sorted(self._points)]

    def _take(self, point: Point) -> None:
        """Add what is new of an epoch; what is said again counts as it was said last."""
        self._points[point.epoch] = merged([*filter(None, [self._points.get(point.epoch)]), point])


def merged(points: Iterable[Point]) -> Point:
    """Points of one epoch as one: of each value the last that was given."""
    first, *others = points
    for other in others:
        train = first.train if other.train != other.train else other.train
        validation = first.validation if other.validation != other.validation else other.validation
        first = Point(other.epoch, train, validation, {**first.more, **other.more})
    return first
