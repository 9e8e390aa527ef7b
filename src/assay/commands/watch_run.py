"""`assay watch`: runs of a project, look by look. Opens for reading, and touches no process.

Covers: what is kept from one look to the next, runs that ended. Not covered: finding runs (`history.live_runs`),
reading their files (`commands.watch_arms`), layout (`report.watch_text`), events (`report.watch_events`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from assay.baseline.accepted_strategy import FLOOR
from assay.commands.watch_arms import ArmPlan, ArmWatch, RunFiles
from assay.core.errors import AssayError
from assay.core.metric_version import metric_name
from assay.core.paths import STAGES
from assay.history import experiments, live_runs, running_experiments
from assay.history.experiments import Experiment
from assay.history.live_runs import LiveRun
from assay.replicates.live_arm import LiveArm
from assay.report.watched_run import (
    DONE,
    TRAINING,
    WAITING,
    WatchedArm,
    WatchedExperiment,
    WatchedReplicate,
    WatchedResult,
)
from assay.runtime import parent_watch, project_root
from assay.runtime.stage_processes import ProcessTable, UseMeter

#: commands that have one run alone, as a rule
_ONE_RUN = {"dvc exp run", "dvc repro"}
#: seconds without a process after which a run has ended: between two stages DVC is at work
GRACE = 4.0


@dataclass(frozen=True)
class WatchedEnd:
    """A run that ended; `row` is what it measured, None where nothing of it is recorded."""

    experiment: str
    row: WatchedResult | None


@dataclass(frozen=True)
class ProjectLook:
    """What one look found: runs at work, commands that are about to start one, runs that ended since.

    `runs` has those that are over in this very look, too, for what they wrote last; `working` has not.
    """

    runs: list[WatchedExperiment] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    ended: list[WatchedEnd] = field(default_factory=list)
    working: list[WatchedExperiment] = field(default_factory=list)
    told: bool = False  # the end of all that these commands ran: they only tidy up

    @property
    def is_idle(self) -> bool:
        return not self.working and not self.commands


class ProjectWatch:
    """The project that `start` lies in. `look` as often as is wanted."""

    def __init__(self, start: Path) -> None:
        self.root = project_root.find(start).root
        self._runs: dict[tuple[Path, str], _RunWatch] = {}
        self._gone: list[str] = []  # names of runs whose end was not told yet
        self._told = False  # an end was, and nothing began since

    def look(self) -> ProjectLook:
        """What runs now. A run without a process stays for a moment: the next stage may be about to begin."""
        now = time.monotonic()
        table = ProcessTable()
        for run in live_runs.find(self.root, table):
            key = run.folder, run.name
            if key not in self._runs:
                self._runs[key] = _RunWatch(self.root, run)
            self._runs[key].run, self._runs[key].seen = run, now
        seen = {key: one.look(table, present=one.seen == now) for key, one in self._runs.items()}
        gone = [key for key, one in self._runs.items() if now - one.seen > GRACE]
        self._gone += [self._runs.pop(key).run.name for key in gone]
        working = [seen[key] for key in self._runs]
        commands = live_runs.commands(self.root, table)
        ended = self._ended(recording=bool(commands))
        self._told = not working and (bool(ended) or self._told)
        told = self._told and not self._gone and set(commands) <= _ONE_RUN
        return ProjectLook(list(seen.values()), commands, ended, working, told)

    def _ended(self, *, recording: bool) -> list[WatchedEnd]:
        """Runs that are gone, with what they measured; those without wait as long as somebody may be `recording`."""
        if not self._gone:
            return []
        rows = _results(self.root)
        gone = dict.fromkeys(self._gone)  # a command has several, one after the other
        found = [WatchedEnd(name, rows.get(name)) for name in gone if name in rows or not recording]
        self._gone = [name for name in self._gone if recording and name not in rows]
        return found


def _results(root: Path) -> dict[str, WatchedResult]:
    """Experiment → what it measured, of those that have a verdict."""
    try:
        found = experiments.read(root).experiments
    except AssayError:
        return {}
    return {one.name: result for one in found if (result := _result(one)) is not None}


def _result(one: Experiment) -> WatchedResult | None:
    numbers = {key: float(value) for key, value in one.metrics.items() if type(value) in (int, float)}
    texts = {key: value for key, value in one.metrics.items() if isinstance(value, str)}
    version = texts.get("metric_version", "")
    if not texts.get("verdict"):
        return None
    return WatchedResult(
        verdict=texts["verdict"],
        metric=metric_name(version),
        metric_version=version,
        baseline=one.baseline,
        mean=numbers.get(metric_name(version)),
        delta=numbers.get("delta"),
        ci_low=numbers.get("ci_low"),
        ci_high=numbers.get("ci_high"),
    )


class _RunWatch:
    """One run, from look to look."""

    def __init__(self, root: Path, run: LiveRun) -> None:
        self.root, self.run, self.seen = root, run, 0.0
        self.changed = tuple(running_experiments.changed(root, run.base, run.folder)) if run.base else ()
        self._arms: dict[str, ArmWatch] = {}
        self._plans: dict[str, ArmPlan] = {}
        self._meter = UseMeter()
        self._reached = 0  # of STAGES
        self._begun: set[str] = set()  # arms that were seen at work

    def look(self, table: ProcessTable, *, present: bool) -> WatchedExperiment:
        """The run now; where it is not `present`, without the stage that it had."""
        run = self.run if present else replace(self.run, processes=[])
        if run.stage in STAGES:
            self._reached = STAGES.index(run.stage)
        files = RunFiles(self.root, run)
        if run.processes:
            self._plans |= {plan.arm: plan for plan in files.plans()}
        use = self._meter.read(table, [one.pid for one in run.processes])
        return WatchedExperiment(
            experiment=run.name,
            stage=run.stage,
            base=run.base,
            changed=self.changed,
            spent=time.time() - run.began if run.began else None,
            arms=tuple(self._arm(files, plan) for plan in self._plans.values()),
            processors=use.processors if use else None,
            of_processors=parent_watch.processors(),
            memory=use.memory if use else None,
        )

    def _arm(self, files: RunFiles, plan: ArmPlan) -> WatchedArm:
        state = files.state(plan.arm, self._reached)
        if state == TRAINING:
            self._begun.add(plan.arm)
        if state == WAITING and plan.arm in self._begun:
            state = DONE
        if state == WAITING or (plan.strategy == FLOOR and not plan.numbers):  # what lies there is of another run
            return WatchedArm(plan.arm, plan.strategy, state, len(plan.numbers))
        curves, log = files.curves_and_log(plan.arm)
        known = self._arms.get(plan.arm)
        if state == TRAINING and known is None and not files.has_begun(plan.arm):
            waiting = tuple(WatchedReplicate(number, WAITING) for number in plan.numbers)
            return WatchedArm(plan.arm, plan.strategy, state, len(waiting), plan.epochs, waiting)
        if known is None or (known.live.curves_file != curves and state == TRAINING):
            latest = known.live.latest if known else {}
            began = next((one.began for one in reversed(files.run.processes)), files.run.began)
            self._arms[plan.arm] = ArmWatch(plan, LiveArm(curves, log, latest), began)
        self._arms[plan.arm].plan = plan
        scripts, logs = files.scripts(plan.arm) if plan.is_script else (None, None)
        found = self._arms[plan.arm].look(state, scripts, logs)
        return replace(found, new=()) if known is None and state == DONE else found  # trained before anybody looked
