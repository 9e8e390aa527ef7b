"""Confirmation: both arms again, on seeds that chose nothing.

Covers: the numbers of the fresh replicates, a child process an arm in its own tree, scores under today's
ruler, the sealed test part. Not covered: whether the outcome is good enough (`stats.confirmation_rule`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET

from assay.acceptance import confirmation_floors
from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.baseline.baseline_training_data import own_training_data
from assay.core import params_yaml, schemas
from assay.core.errors import UsageError
from assay.core.params_yaml import SPAN
from assay.core.schemas import Draw, Measurement, MeasureRequest
from assay.data import storage
from assay.data.storage import Examples
from assay.history import metrics_json
from assay.history.replicates_rows import OVERLAP
from assay.metrics import (
    metric_definition,
    ran_on_this_machine,
    replicate_scores,
    reported_scores,
    split_scores,
    undeclared_file_reads,
)
from assay.metrics.floor_scores import PredictionForm
from assay.metrics.scored_arm import Ruler
from assay.metrics.split_scores import JudgedExamples
from assay.metrics.task_metrics import Metric
from assay.replicates import split_examples
from assay.replicates.measure_request import draws, request, training_code
from assay.runtime import cache_dirs, dvc_yaml, example_ids, files, library_fingerprint, npy_files, task_source
from assay.runtime.dvc_yaml import Run
from assay.runtime.stage_setup import StageContext
from assay.scratch.scratch_repo import Scratch, failed, run
from assay.script import script_arm, script_strategies
from assay.script.script_arm import ScriptArm, ScriptOutputs
from assay.stats.compare_arms import MeasuredArm
from assay.tags.strategy_events import Score, Seeds

PURPOSE = "confirmation"
#: a paired design is confirmed as it was declared: both arms on the same fresh numbers
PAIRED_PURPOSE = "paired-confirmation"


def fresh_seeds(root: int, n: int, sequence: int, paired: bool = False) -> Seeds:
    """Numbers that no event before the `sequence`-th used, the arms apart unless the design pairs them."""
    first = 2 * SPAN * sequence
    if paired:
        return Seeds(root=root, purpose=PAIRED_PURPOSE, n=n, candidate=first, baseline=first)
    return Seeds(root=root, purpose=PURPOSE, n=n, candidate=first, baseline=first + SPAN)


@dataclass(frozen=True)
class FreshReplicates:
    """One arm's fresh replicates under today's ruler, by their numbers, those with the same predictions once."""

    arm: MeasuredArm
    measurement: Measurement

    @property
    def repeats(self) -> int:
        """Replicates with the predictions of another one, which count once."""
        return len(self.measurement.replicates) - len(self.arm.replicates)

    @property
    def score(self) -> Score:
        return metrics_json.score(self.arm)


class Confirmation:
    """Measurements for the tree in `scratch`, whose run left data, environment and parameters there."""

    def __init__(self, scratch: Scratch, seeds: Seeds, metric: Metric) -> None:
        content = dvc_yaml.parameters(scratch.layout.root)
        self.scratch = scratch
        self.seeds = seeds
        self.ctx = StageContext("confirmation", Run(scratch.layout, scratch.home, ""), params_yaml.resolved(content))
        self.task = self.ctx.params.task.name
        self.metric = metric
        if not self.ctx.params.is_script:
            code = ran_on_this_machine.metrics_code(scratch.layout.root, self.task)
            ran_on_this_machine.note_code(scratch.home, code)

    @property
    def has_test_part(self) -> bool:
        """A script's number has none: nobody but the script knows its examples."""
        return not self.ctx.params.is_script

    def candidate(self, part: str = "validation") -> FreshReplicates:
        """The tree's own strategy, predicting `part`."""
        if self.ctx.params.is_script:
            draw, out, n = self._draw("candidate"), self._outputs("candidate"), self.seeds.n
            return self._reported(script_strategies.candidate(self.ctx, draw, out, self.seeds.root, n))
        root = self.scratch.layout.root
        code = training_code(root, self.task)
        asked = request(self.ctx, "candidate", self._draw("candidate"), self.ctx.layout.part("train"), code)
        return self._measure(root, asked, "candidate", part)

    def baseline(self, named: AcceptedStrategy, say: cache_dirs.Say) -> FreshReplicates:
        """The accepted strategy in its own tree, on its own training data."""
        if self.ctx.params.is_script:
            draw, out, n = self._draw("baseline"), self._outputs("baseline"), self.seeds.n
            return self._reported(script_strategies.baseline(self.ctx, named, draw, out, self.seeds.root, n))
        tree = accepted_strategy.unpack(self.ctx.run, named.commit, say)
        task = accepted_strategy.resolved(self.scratch.home, named.name, named.commit).task.name
        code = training_code(tree, task)
        asked = request(self.ctx, "baseline", self._draw("baseline"), own_training_data(self.ctx, named, say), code)
        return self._measure(tree, asked, "baseline", "validation")

    def _draw(self, arm: str) -> Draw:
        first = self.seeds.candidate if arm == "candidate" else self.seeds.baseline
        return Draw(purpose=self.seeds.purpose, first=first)

    def _outputs(self, arm: str) -> ScriptOutputs:
        work = self.scratch.top.parent / f"{arm}-script"
        return ScriptOutputs(work / "models", work / "logs", work / "log")

    def _reported(self, asked: ScriptArm) -> FreshReplicates:
        """The numbers that a script reports; runs that are all alike count once."""
        answer = script_arm.measure(asked, cache_dirs.unsaid)
        values = [(one.number, None if one.reported is UNSET else one.reported) for one in answer.replicates]
        alike = reported_scores.same_as(answer.replicates)
        return FreshReplicates(MeasuredArm([pair for pair in values if pair[0] not in alike]), answer)

    def _measure(self, tree: Path, asked: MeasureRequest, arm: str, part: str) -> FreshReplicates:
        work = self.scratch.top.parent / f"{arm}-{part}"
        first = asked.replicates[0]
        evaluated = self.ctx.layout.part(part)
        asked = msgspec.structs.replace(
            asked,
            seed=self.seeds.root,
            replicates=list(range(first, first + self.seeds.n)),
            evaluate=str(evaluated),
            **{name: str(work / name) for name in ("models", "predictions", "curves", "log", "answer")},
        )
        if asked.classes is not UNSET:  # fresh seeds of both arms train here: on one class of machine
            asked = msgspec.structs.replace(asked, environment=asked.here, classes=UNSET, here="")
        path = work / "request.json"
        files.write_bytes(path, schemas.encode(asked))
        command = library_fingerprint.command("measure", str(path))
        code, said = run(command, tree, self.scratch.home, f"confirming on {part}")
        if code:
            raise failed(f"the confirmation of {tree} failed", said, "run the command again")
        answer = schemas.decode(files.read_bytes(Path(asked.answer)), Measurement, asked.answer)
        return self._scored(answer, Path(asked.predictions), evaluated)

    def floor(self, candidate: FreshReplicates) -> FreshReplicates:
        """The best floor on the splits of the candidate's fresh replicates, fitted on each."""
        work, root = self.scratch.top.parent / "candidate-validation", self.ctx.layout.root
        parts = split_examples.read_parts(draws(self.ctx), self.seeds.root, candidate.measurement.purpose)
        both = split_examples.both_parts(self.ctx.layout)
        wanted = PredictionForm(
            npy_files.read(work / "predictions" / "predictions.npy").shape[1:],
            None if both.classes is None else len(both.classes),
            metric_definition.keeps_scores(root, self.metric.name),
        )
        judged, ruler, judge = JudgedExamples.read(both), self._ruler(both), self.ctx.params.judge
        with task_source.said_by_task(root, self.task, "metrics"):
            found = confirmation_floors.hardest(work / "floors", parts, candidate.arm, ruler, judged, wanted, judge)
        return FreshReplicates(found, candidate.measurement)

    def _ruler(self, part: Examples) -> Ruler:
        options = self.ctx.params.metric.options
        return Ruler({self.metric.name: self.metric}, self.metric.name, options, part.ids, part.seen_targets)

    def _scored_on_splits(self, answer: Measurement, predictions: Path) -> FreshReplicates:
        """Each replicate on the examples of its own split."""
        both, hint = split_examples.both_parts(self.ctx.layout), "run the command again"
        ids, rows = split_scores.ids_of(predictions, hint), npy_files.read(predictions / "predictions.npy")
        rulers = JudgedExamples.read(both).rulers(self._ruler(both), ids, str(predictions))
        with task_source.said_by_task(self.scratch.layout.root, self.task, "metrics"):
            found = split_scores.scores(answer.replicates, rows, rulers, "replicate")
        undeclared_file_reads.check(self.scratch.layout.root, self.task)
        numbers = [one.number for one in answer.replicates]
        values = [None if one is None else one[self.metric.name] for one in found]
        return FreshReplicates(MeasuredArm(list(zip(numbers, values, strict=True)), _overlap(answer)), answer)

    def _scored(self, answer: Measurement, predictions: Path, evaluated: Path) -> FreshReplicates:
        if answer.splits is not UNSET and evaluated == self.ctx.layout.part("validation"):
            return self._scored_on_splits(answer, predictions)
        part, _ = storage.read(evaluated, ["ids", "targets"])
        if not np.array_equal(example_ids.read(predictions / "ids.npy"), part.ids):
            raise UsageError(f"{predictions} holds other examples than were asked for")
        rows, found = npy_files.read(predictions / "predictions.npy"), answer.replicates
        ruler = self._ruler(part)
        with task_source.said_by_task(self.scratch.layout.root, self.task, "metrics"):
            values = replicate_scores.scored(found, rows, partial(ruler.score, self.metric), "replicate")
        undeclared_file_reads.check(self.scratch.layout.root, self.task)
        same = replicate_scores.same_as(found, rows)
        numbered = zip(found, values, strict=True)
        counted = [(one.number, value) for one, value in numbered if one.number not in same]
        return FreshReplicates(MeasuredArm(counted, _overlap(answer)), answer)


def _overlap(answer: Measurement) -> float | None:
    return None if answer.splits is UNSET else answer.splits.overlap


def rows(groups: Sequence[tuple[str, FreshReplicates]], metric: str, purpose: str = PURPOSE) -> str:
    """results/confirmation.csv: every fresh value of both arms, so that anybody can judge again."""
    overlap = groups[0][1].arm.overlap
    column, cell = ("", "") if overlap is None else (f",{OVERLAP}", f",{overlap!r}")
    lines = [f"arm,purpose,replicate,{metric}{column}"]
    for arm, group in groups:
        lines += [f"{arm},{purpose},{n},{value!r}{cell}" for n, value in group.arm.replicates if value is not None]
    return "\n".join(lines) + "\n"
