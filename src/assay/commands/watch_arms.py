"""Arms of a run under way: what its files say of replicates, epochs, time left. Reads, and holds nothing.

Covers: loops of Assay's and of a task's own, scripts, a candidate that trains beside its baseline, confirmations. What
is missing, half written or of another version is passed over. Not covered: which runs there are (`history.live_runs`).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.core import params_yaml, schemas
from assay.core.errors import AssayError
from assay.core.params_yaml import Params
from assay.core.paths import ARMS, STAGES, ProjectPaths
from assay.core.schemas import Draw, MeasureRequest
from assay.history.live_runs import MEASURE, LiveRun
from assay.replicates.live_arm import LiveArm, LivePoint
from assay.report.watched_run import (
    CACHED,
    DONE,
    TRAINING,
    WAITING,
    WatchedArm,
    WatchedPoint,
    WatchedReplicate,
)
from assay.runtime import dvc_yaml, redacted_log
from assay.runtime.stage_processes import StageProcess

R = TypeVar("R", bound=schemas.Record)

BASELINE, CANDIDATE = ARMS
#: stage that trains an arm
STAGE_OF = {BASELINE: "baseline", CANDIDATE: "train"}
#: stage that trains the candidate beside its baseline
BESIDE = "warm_candidate_cache"
_TRAINS = {*STAGE_OF.values(), BESIDE, MEASURE}
#: seconds by which clocks of processes and files differ at most
_LATE = 1.0
#: seconds back that the pace of a training is taken from
_SPAN = 60.0


@dataclass(frozen=True)
class ArmPlan:
    """What an arm is asked for, as far as anybody says."""

    arm: str
    strategy: str = ""
    numbers: Sequence[int] = ()
    epochs: int | None = None
    is_script: bool = False


class Pace:
    """Epochs a second of an arm, from looks of the last minute."""

    def __init__(self, began: float) -> None:
        self._looks: deque[tuple[float, float]] = deque([(began, 0.0)])

    def seconds_left(self, now: float, done: float, total: float) -> float | None:
        """None where nothing is done yet, or more than was planned."""
        self._looks.append((now, done))
        while len(self._looks) > 2 and now - self._looks[1][0] > _SPAN:
            self._looks.popleft()
        since, before = self._looks[0]
        if done <= before or now <= since or done > total:
            return None
        return (total - done) * (now - since) / (done - before)


class ArmWatch:
    """One arm of a run, from look to look."""

    def __init__(self, plan: ArmPlan, live: LiveArm, began: float) -> None:
        self.plan, self.live, self._pace = plan, live, Pace(began)

    def look(self, state: str, scripts: Path | None = None, logs: Path | None = None) -> WatchedArm:
        """The arm now. Of a script that runs, `scripts` is the folder of its replicates under way, `logs` that of what
        they print."""
        new = self.live.read()
        numbers = dict.fromkeys([*self.plan.numbers, *sorted({*self.live.curves, *self.live.ended})])
        replicates = [self._replicate(number) for number in numbers]
        if scripts is not None and logs is not None:
            replicates = _scripted(replicates, scripts, logs)
        epochs = self._epochs()
        return WatchedArm(
            arm=self.plan.arm,
            strategy=self.plan.strategy,
            state=state,
            planned=len(replicates),
            epochs=epochs,
            replicates=tuple(replicates),
            seconds_left=self._left(replicates, epochs) if state == TRAINING else None,
            accelerator=self.live.busy,
            device_memory=self.live.device_memory,
            data_wait=self.live.data_wait,
            new=tuple(map(_point, new)),
        )

    def _epochs(self) -> int | None:
        """Of one replicate: those of one that is done, as a loop of the task's own need not know `train.epochs`."""
        done = [number for number, end in self.live.ended.items() if end.how == DONE and self.live.curves.get(number)]
        if done:
            return math.ceil(self.live.curves[done[-1]][-1].epoch)
        seen = max((curve[-1].epoch for curve in self.live.curves.values() if curve), default=0.0)
        return self.plan.epochs if self.plan.epochs is not None and seen <= self.plan.epochs else None

    def _left(self, replicates: Sequence[WatchedReplicate], epochs: int | None) -> float | None:
        each = 1 if self.plan.is_script else epochs
        if not each:
            return None
        asked = [one for one in replicates if one.state != CACHED]
        ended = sum(one.state not in (WAITING, TRAINING) for one in asked)
        done = ended * each + sum(min(one.epoch or 0.0, each) for one in asked if one.state == TRAINING)
        return self._pace.seconds_left(time.time(), done, len(asked) * each)

    def _replicate(self, number: int) -> WatchedReplicate:
        curve, end = self.live.curves.get(number, []), self.live.ended.get(number)
        last = curve[-1] if curve else None
        return WatchedReplicate(
            number=number,
            state=end.how if end else TRAINING if curve else WAITING,
            seed=last.seed if last else end.seed if end else None,
            epoch=last.epoch if last else None,
            train_loss=_finite(last.train) if last else None,
            validation_loss=_finite(last.validation) if last else None,
            seconds=end.seconds if end else None,
            curve=tuple(value for point in curve if math.isfinite(value := point.shown)),
        )


class RunFiles:
    """Where a run of the project at `root` writes, as one look finds it."""

    def __init__(self, root: Path, run: LiveRun) -> None:
        self.root, self.run, self.layout = root, run, ProjectPaths(run.folder)

    def plans(self) -> list[ArmPlan]:
        """Both arms; of a confirmation, which has no dvc.yaml, those that it is at work on."""
        if not self.layout.pipeline.is_file():
            return [self._confirmed(arm, asked) for arm, asked in self._requests.items()]
        params = self._params
        draw, accepted = _read(self.layout.draw, Draw), _read(self.layout.accepted, AcceptedStrategy)
        count, is_script = (params.replicates, params.is_script) if params else (0, False)
        first = draw.first if draw else 0
        epochs = None if params is None or is_script else params.train.epochs
        candidate = ArmPlan(CANDIDATE, "", range(first, first + count), epochs, is_script)
        if accepted is None or accepted.name == FLOOR:
            name = params.baseline if accepted is None and params else FLOOR
            return [ArmPlan(BASELINE, name, range(0 if name == FLOOR else count)), candidate]
        epochs = None if is_script else _epochs_at(self.root, accepted.commit, params.profile if params else None)
        numbers = range(accepted.first, accepted.first + count)
        return [ArmPlan(BASELINE, accepted.name, numbers, epochs, is_script), candidate]

    def _confirmed(self, arm: str, asked: MeasureRequest) -> ArmPlan:
        """An arm of a confirmation; its parameters are those of the tree that it runs in."""
        process = self._process(MEASURE)
        params = _stamped(ProjectPaths(process.folder)) if process else None
        return ArmPlan(arm, numbers=asked.replicates, epochs=params.train.epochs if params else None)

    def curves_and_log(self, arm: str) -> tuple[Path, Path]:
        """Files of the arm that grow now, or would."""
        if arm in self._requests:
            asked = self._requests[arm]
            return Path(asked.curves), Path(asked.log)
        if arm == CANDIDATE and self._beside is not None:
            return self._beside / "curves.csv", self._beside / "log"
        return self.layout.curves(arm), self.layout.log(arm)

    def has_begun(self, arm: str) -> bool:
        """Whether a file of the arm was written since its stage began: until then those of another run lie there, but
        where DVC removed them. A script writes logs of its replicates first."""
        began = max((one.began for one in self.run.processes if one.name in _TRAINS), default=0.0)
        places = (*self.curves_and_log(arm), self.layout.logs(arm))
        return any(_written(path) >= (began - _LATE) * 1e9 for path in places)

    def state(self, arm: str, reached: int) -> str:
        """Of an arm, where the run has come as far as stage number `reached` of all."""
        if self._process(STAGE_OF[arm]) or arm in self._requests or (arm == CANDIDATE and self._beside):
            return TRAINING
        return DONE if reached > STAGES.index(STAGE_OF[arm]) else WAITING

    def scripts(self, arm: str) -> tuple[Path | None, Path | None]:
        """Where replicates of a script are at work, and what they print; None where none is."""
        process = self._process(STAGE_OF[arm])
        if process is None:
            return None, None
        return dvc_yaml.store(self.root).scripts / f"{arm}-{process.pid}", self.layout.logs(arm)

    def _process(self, stage: str) -> StageProcess | None:
        return next((one for one in self.run.processes if one.name == stage), None)

    @cached_property
    def _beside(self) -> Path | None:
        """Folder of a candidate that trains beside its baseline; None before it writes there."""
        process = self._process(BESIDE)
        folder = Path(process.arguments[0]) if process and process.arguments else None
        return folder if folder and (folder / "curves.csv").is_file() else None

    @cached_property
    def _requests(self) -> dict[str, MeasureRequest]:
        """Arm → what a process is asked to train for it."""
        paths = [Path(one.arguments[0]) for one in self.run.processes if one.name == MEASURE and one.arguments]
        return {_arm_of(asked): asked for path in paths if (asked := _read(path, MeasureRequest)) is not None}

    @cached_property
    def _params(self) -> Params | None:
        return _stamped(self.layout)


def _stamped(layout: ProjectPaths) -> Params | None:
    return _params_at(layout, tuple(map(_written, (layout.params, layout.pipeline))))


@lru_cache(maxsize=8)
def _params_at(layout: ProjectPaths, _written: tuple[int, ...]) -> Params | None:
    """Parameters of a run, as long as their files are those that were read; None where they cannot be."""
    try:
        return params_yaml.resolved(dvc_yaml.parameters(layout.root))
    except (AssayError, OSError):
        return None


def _written(path: Path) -> int:
    """When a file was written last; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _epochs_at(root: Path, commit: str, profile: str | None) -> int | None:
    """Of an accepted strategy, by its own parameters."""
    try:
        content = dvc_yaml.parameters_at(root, commit)
        return None if content is None else params_yaml.resolved(content, profile).train.epochs
    except (AssayError, OSError):
        return None


def _arm_of(asked: MeasureRequest) -> str:
    """Arm that a request of a stage, or of a confirmation, is about."""
    name = Path(asked.models).name
    return name if name in ARMS else Path(asked.models).parent.name.partition("-")[0]


def _read(path: Path, kind: type[R]) -> R | None:
    """The record at `path`; None where it is missing, half written or of another version."""
    try:
        return schemas.decode(path.read_bytes(), kind, str(path))
    except (AssayError, OSError):
        return None


def _scripted(replicates: Sequence[WatchedReplicate], working: Path, logs: Path) -> list[WatchedReplicate]:
    """Replicates of a script: those that have a log have begun, those that have a tree are at work."""
    begun = {one.number for one in replicates if (logs / f"{one.number}.log").is_file()}
    last = max(begun, default=-1)
    return [_script_replicate(one, working, logs, one.number in begun, last) for one in replicates]


def _script_replicate(one: WatchedReplicate, working: Path, logs: Path, begun: bool, last: int) -> WatchedReplicate:
    if (working / f"run-{one.number}" / "tree").is_dir():
        lines = redacted_log.last_lines(logs / f"{one.number}.log", 1) if begun else []
        return WatchedReplicate(one.number, TRAINING, says=lines[-1] if lines else "")
    if begun:
        return WatchedReplicate(one.number, DONE)
    return WatchedReplicate(one.number, CACHED if one.number < last else WAITING)


def _point(one: LivePoint) -> WatchedPoint:
    train, validation = _finite(one.train), _finite(one.validation)
    values = {name: value for name, value in one.more.items() if math.isfinite(value)}
    return WatchedPoint(one.replicate, one.seed, one.epoch, train, validation, values)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
