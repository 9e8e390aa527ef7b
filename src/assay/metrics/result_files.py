"""The files that `evaluate` leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from assay.core import reported_key
from assay.core.paths import ProjectPaths
from assay.core.schemas import NOT_RECORDED
from assay.metrics import example_cases, result_tables, slice_losses, slice_table
from assay.metrics.candidate_verdict import Judgement
from assay.metrics.scored_arm import Ruler, Scored
from assay.metrics.slice_scores import SliceFinding
from assay.metrics.task_metrics import Metric
from assay.runtime import files
from assay.stats import verdict_rule
from assay.stats.arm_scores import mean_and_sd

Flat = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """Everything that one evaluation found."""

    ruler: Ruler  # judging by the baseline's terms
    own: Mapping[str, Metric]  # as today's METRICS has them
    versions: Mapping[str, str]  # of every metric that can have one
    packages: str  # that the metrics import, with their versions
    unseen: Sequence[str]  # files that the metrics read although no version covers them
    profile: str
    commit: str  # HEAD while it ran: the experiment's parent
    classes: list[str] | None
    candidate: Scored
    baseline: Scored | None  # None while the baseline is the floor
    floors: Mapping[str, Mapping[str, float]]
    floor_predictions: Mapping[str, NDArray[Any]]  # of those that have any
    absent_floors: Mapping[str, str]  # name → why
    judgement: Judgement
    slices: Sequence[SliceFinding]  # none where prepare() names none, or nothing was compared
    fixed: bool = False  # task.fixed: nothing in it is random
    keeps_scores: bool = False  # predictions are what score() of the task keeps of them
    #: floor → its scores on each split, where each replicate has one; None where all have the same parts
    split_floors: Mapping[str, Sequence[Mapping[str, float]]] | None = None
    references: str = ""  # published numbers in short: `paper reproduced, blog above`

    @property
    def lost(self) -> str:
        """Slices with a significant loss, as the verdict says them: `small -0.03, night -0.05`."""
        return slice_losses.said(self.slices)

    @property
    def metric_version(self) -> str:
        """Of the metric that decides."""
        return self.versions[self.ruler.decides]

    @property
    def best_floor(self) -> tuple[str, NDArray[Any]] | None:
        """Name and predictions (N, …) of the floor that is hardest to beat; None where it left none."""
        scores = {name: score[self.ruler.decides] for name, score in self.floors.items()}
        best = verdict_rule.best(scores, self.ruler.metric.direction) if scores else ""
        return (best, self.floor_predictions[best]) if best in self.floor_predictions else None

    @property
    def arms(self) -> list[Scored]:
        return [each for each in (self.candidate, self.baseline) if each]


def write(layout: ProjectPaths, found: Evaluated) -> None:
    """The tables of replicates and metrics, the plots, the cases, last the numbers that `dvc exp show` reads."""
    files.write_text(layout.replicates, _replicates(found))
    files.write_text(
        layout.rulers, result_tables.rulers(found.own, found.versions, found.packages, ", ".join(found.unseen))
    )
    if not reported_key.is_reported(found.metric_version):
        _write_of_predictions(layout, found)
    files.write_bytes(layout.metrics, msgspec.json.format(msgspec.json.encode(_flat(found))) + b"\n")


def _write_of_predictions(layout: ProjectPaths, found: Evaluated) -> None:
    if found.split_floors is not None:
        _write_nothing(layout)
        return
    if declares_slices(layout):
        files.write_text(layout.slices, _slices(found))
    files.write_text(layout.cases, _cases(found))
    files.write_text(layout.plots / "confusion.csv", _confusion(found))
    files.write_text(layout.plots / "reliability.csv", _reliability(found))


def _write_nothing(layout: ProjectPaths) -> None:
    """Tables without rows, as dvc.yaml names them: no two replicates predicted the same examples."""
    nobody = np.zeros(0)
    if declares_slices(layout):
        files.write_text(layout.slices, slice_table.empty())
    files.write_text(layout.cases, result_tables.cases(nobody.astype(np.str_), nobody, nobody, nobody))
    files.write_text(layout.plots / "confusion.csv", result_tables.text(["actual", "predicted"], []))
    files.write_text(layout.plots / "reliability.csv", result_tables.reliability(nobody, {}))


def declares_slices(layout: ProjectPaths) -> bool:
    """Whether dvc.yaml has results/slices.csv."""
    return _declares(layout, layout.slices)


def declares_case_record(layout: ProjectPaths) -> bool:
    """Whether dvc.yaml has results/cases.json."""
    return _declares(layout, layout.case_record)


def _declares(layout: ProjectPaths, path: Path) -> bool:
    """Whether dvc.yaml names an output: older ones do not know all, and nobody tracks what they do not name."""
    name = path.relative_to(layout.root).as_posix()
    return name in layout.pipeline.read_text(encoding="utf-8", errors="replace")


def _slices(found: Evaluated) -> str:
    classes = found.classes or []
    arms = {each.arm.arm: [each.predictions[row] for row in np.flatnonzero(each.counted)] for each in found.arms}
    return slice_table.text(found.ruler, found.slices, classes, arms, keeps_scores=found.keeps_scores)


def _replicates(found: Evaluated) -> str:
    names, metric = list(found.ruler.metrics), found.ruler.metric
    common: dict[str, object] = {
        "metric_version": found.metric_version,
        "profile": found.profile,
        "direction": metric.direction,
        "min_effect": metric.min_effect,
        "worst": "" if metric.worst is None else metric.worst,
    }
    if found.fixed:  # a column only where there is something to say
        common["fixed"] = result_tables.YES
    if found.candidate.overlap is not None:
        common[result_tables.OVERLAP] = found.candidate.overlap
    rows = [row for each in found.arms for row in result_tables.replicate_rows(each, common, names)]
    rows += [{"arm": "floor", "strategy": name, "status": "ok", **common, **at} for name, at in _floors(found)]
    columns = list(rows[0])
    return result_tables.text(columns, [[row.get(key, "") for key in columns] for row in rows])


def _floors(found: Evaluated) -> Iterator[tuple[str, Flat]]:
    """Each floor and its scores; on splits a row for each, with the number and seed of the replicate that has it."""
    each, where = found.split_floors or {}, found.candidate.arm.environment.key
    for name, scores in found.floors.items():
        if name not in each:
            yield name, dict(scores)
            continue
        for one, at in zip(found.candidate.replicates, each[name], strict=True):
            yield name, {"replicate": one.number, "seed": one.seed, "environment": where, **at}


def _cases(found: Evaluated) -> str:
    ruler, same = found.ruler, np.zeros(len(found.ruler.ids))
    if ruler.metric.per_example is None or found.baseline is None or not len(found.baseline.finite):
        return result_tables.cases(ruler.ids, ruler.targets, same, same)
    before, after = (result_tables.shares(each, ruler).mean(axis=0) for each in (found.baseline, found.candidate))
    return result_tables.cases(ruler.ids, ruler.targets, before, after, _case_names(found, found.baseline))


def _case_names(found: Evaluated, baseline: Scored) -> Callable[[int], str]:
    """Row of an example → its class and what each arm takes it for: `3: 8 → 3`; "" where there are no classes."""
    classes = found.classes
    if not classes or not _probabilities(found):
        return lambda _row: ""
    before, after = (each.finite.mean(axis=0).argmax(axis=1) for each in (baseline, found.candidate))
    targets = found.ruler.targets
    return lambda row: f"{classes[targets[row]]}: {classes[before[row]]} → {classes[after[row]]}"


def _probabilities(found: Evaluated) -> bool:
    """Whether predictions are a probability per class, as the two class plots need them."""
    return example_cases.has_probabilities(found.candidate.predictions, found.ruler, found.classes)


def _confusion(found: Evaluated) -> str:
    if not _probabilities(found):
        return result_tables.text(["actual", "predicted"], [])
    return result_tables.confusion(found.ruler.targets, found.candidate.finite, found.classes or [])


def _reliability(found: Evaluated) -> str:
    arms = {each.arm.arm: each.finite for each in found.arms} if _probabilities(found) else {}
    return result_tables.reliability(found.ruler.targets, arms)


def _flat(found: Evaluated) -> Flat:
    """results/metrics.json: flat, with neither nulls nor NaN, which `dvc exp show` would lose or choke on."""
    name = found.ruler.decides
    values = found.candidate.values(name)
    mean, sd = mean_and_sd(values)
    flat: Flat = {
        "schema": 1,
        name: mean,
        "sd": sd,
        "n": len(values),
        "diverged": found.candidate.diverged,
    }
    if result := found.judgement.comparison:
        if result.entered:  # diverged replicates are in the numbers: what is shown must add up to delta
            flat |= {name: result.candidate.mean, "sd": result.candidate.sd, "n": result.candidate.n}
        flat |= {"baseline": result.baseline.mean, "delta": result.delta, "ci_low": result.ci[0]}
        flat |= {"ci_high": result.ci[1], "p": result.p, "level": found.judgement.level}
    flat |= {"verdict": found.judgement.verdict, "metric_version": found.metric_version}
    flat |= {"profile": found.profile, "commit": found.commit}
    if found.candidate.overlap is not None:
        flat[result_tables.OVERLAP] = found.candidate.overlap
    if not found.judgement.recorded:
        flat["look"] = NOT_RECORDED
    if found.slices:  # a column only where there are any
        flat["slices"] = found.lost or "none lost"
    if found.references:  # a column only where there are any
        flat["references"] = found.references
    if found.candidate.arm.unproven:  # a column only where there is something to say
        flat["unproven"] = ", ".join(found.candidate.arm.unproven)
    finite = {key: value for key, value in flat.items() if not isinstance(value, float) or np.isfinite(value)}
    return {key: value for key, value in finite.items() if value is not None}
