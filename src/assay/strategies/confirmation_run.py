"""Confirmation: both arms again, on seeds that chose nothing.

Covers: the numbers of the fresh replicates, a child process an arm in its own tree, scores under today's
ruler, the sealed test part. Not covered: whether the outcome is good enough (`stats.confirmation_rule`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.baseline.baseline_training_data import own_training_data
from assay.core import params_yaml, schemas
from assay.core.errors import UsageError
from assay.core.params_yaml import SPAN
from assay.core.schemas import Draw, Measurement, MeasureRequest, Replicate
from assay.data import storage
from assay.metrics import ran_on_this_machine, task_metrics, undeclared_file_reads
from assay.metrics.task_metrics import Metric
from assay.replicates.measure_request import request, training_code
from assay.runtime import cache_dirs, dvc_yaml, files, library_fingerprint, npy_files, task_source
from assay.runtime.dvc_yaml import Run
from assay.runtime.stage_setup import StageContext
from assay.scratch.scratch_repo import Scratch, failed, run
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
    """One arm's fresh replicates under today's ruler, in the order of their numbers."""

    values: list[float]  # of those that did not diverge, each of the same predictions once
    numbers: list[int]  # their replicates
    diverged: int
    measurement: Measurement

    @property
    def repeats(self) -> int:
        """Replicates with the predictions of another one, which count once."""
        return len(self.measurement.replicates) - self.diverged - len(self.numbers)

    def placed(self, worst: float | None) -> dict[int, float]:
        """Number → value, for a paired design; a diverged one is `worst`, or left out without it."""
        diverged = [one.number for one in self.measurement.replicates if one.diverged is not None]
        lost = {} if worst is None else dict.fromkeys(diverged, worst)
        return lost | dict(zip(self.numbers, self.values, strict=True))

    @property
    def score(self) -> Score:
        mean = float(np.mean(self.values)) if self.values else None
        sd = float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None
        return Score(n=len(self.values), mean=mean, sd=sd, diverged=self.diverged)


class Confirmation:
    """Measurements for the tree in `scratch`, whose run left data, environment and parameters there."""

    def __init__(self, scratch: Scratch, seeds: Seeds, metric: Metric) -> None:
        content = dvc_yaml.parameters(scratch.layout.root)
        self.scratch = scratch
        self.seeds = seeds
        self.ctx = StageContext("confirmation", Run(scratch.layout, scratch.home, ""), params_yaml.resolved(content))
        self.task = self.ctx.params.task.name
        self.metric = metric
        ran_on_this_machine.note_code(scratch.home, ran_on_this_machine.metrics_code(scratch.layout.root, self.task))

    def candidate(self, part: str = "validation") -> FreshReplicates:
        """The tree's own strategy, predicting `part`."""
        root = self.scratch.layout.root
        code = training_code(root, self.task)
        asked = request(self.ctx, "candidate", self._draw("candidate"), self.ctx.layout.part("train"), code)
        return self._measure(root, asked, "candidate", part)

    def baseline(self, named: AcceptedStrategy, say: cache_dirs.Say) -> FreshReplicates:
        """The accepted strategy in its own tree, on its own training data."""
        tree = accepted_strategy.unpack(self.ctx.run, named.commit, say)
        task = accepted_strategy.resolved(self.scratch.home, named.name, named.commit).task.name
        code = training_code(tree, task)
        asked = request(self.ctx, "baseline", self._draw("baseline"), own_training_data(self.ctx, named, say), code)
        return self._measure(tree, asked, "baseline", "validation")

    def _draw(self, arm: str) -> Draw:
        first = self.seeds.candidate if arm == "candidate" else self.seeds.baseline
        return Draw(purpose=self.seeds.purpose, first=first)

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
        path = work / "request.json"
        files.write_bytes(path, schemas.encode(asked))
        code, said = run(library_fingerprint.command("measure", str(path)), tree, self.scratch.home)
        if code:
            raise failed(f"the confirmation of {tree} failed", said, "run the command again")
        answer = schemas.decode(files.read_bytes(Path(asked.answer)), Measurement, asked.answer)
        return self._scored(answer, Path(asked.predictions), evaluated)

    def _scored(self, answer: Measurement, predictions: Path, evaluated: Path) -> FreshReplicates:
        part, _ = storage.read(evaluated, ["ids", "targets"])
        if not np.array_equal(npy_files.read(predictions / "ids.npy"), part.ids):
            raise UsageError(f"{predictions} holds other examples than were asked for")
        rows = npy_files.read(predictions / "predictions.npy")
        finite = [(one, row) for one, row in zip(answer.replicates, rows, strict=True) if one.diverged is None]
        diverged = len(answer.replicates) - len(finite)
        distinct: dict[bytes, tuple[Replicate, Any]] = {}
        for one, row in finite:
            distinct.setdefault(row.tobytes(), (one, row))
        options = self.ctx.params.metric.options
        with task_source.said_by_task(self.scratch.layout.root, self.task, "metrics"):
            values = [
                task_metrics.score(self.metric, options, part.seen_targets, row, f"replicate {one.number}")
                for one, row in distinct.values()
            ]
        undeclared_file_reads.check(self.scratch.layout.root, self.task)
        return FreshReplicates(values, [one.number for one, _ in distinct.values()], diverged, answer)


def rows(groups: Sequence[tuple[str, FreshReplicates]], metric: str, purpose: str = PURPOSE) -> str:
    """results/confirmation.csv: every fresh value of both arms, so that anybody can judge again."""
    lines = [f"arm,purpose,replicate,{metric}"]
    for arm, group in groups:
        lines += [f"{arm},{purpose},{n},{value!r}" for n, value in zip(group.numbers, group.values, strict=True)]
    return "\n".join(lines) + "\n"
