"""evaluate: predictions of both arms and the floors → numbers under today's ruler → a verdict.

The only stage that turns predictions into metrics, all of them in this one process and without torch. A
verdict, even `incomparable`, never fails it: DVC records no experiment for a failed stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from assay.arms.accepted import Accepted
from assay.data import examples
from assay.judging.metric_version import metric_version
from assay.lineage.since import since
from assay.outside import closure, files, git, task_source
from assay.outside.start import Start, start
from assay.report import comparison
from assay.scoring import arm, judgement, ruler, tables
from assay.scoring.arm import Ruler, Scored
from assay.scoring.judgement import Judgement
from assay.words import records

Flat = dict[str, Any]


def main(root: Path, _arguments: Sequence[str], _protocol: int) -> None:
    begun = start(root, "evaluate")
    today, version = _ruler(begun)
    with begun.said_by_task("metrics"):
        candidate = arm.load(begun.layout, arm.record(begun.layout, "candidate"), today)
        baseline = arm.load(begun.layout, arm.record(begun.layout, "baseline"), today)
        floors = _floors(begun, today)
        assert candidate is not None
        found = _judge(
            begun, candidate, baseline, {name: score[today.decides] for name, score in floors.items()}, today
        )
        _write(begun, candidate, baseline, floors, found, today, version)
    _say(begun, candidate, found, today, version)


def _ruler(begun: Start) -> tuple[Ruler, str]:
    module, name = begun.task("metrics"), begun.params.metric.name
    where = f"src/tasks/{begun.params.task.name}/metrics.py"
    metrics = ruler.read(module, where)
    ruler.chosen(metrics, name, where)
    part, manifest = examples.read(begun.layout.part("validation"), ["ids", "targets"])
    version = metric_version(
        partial(closure.read_module, begun.layout.root),
        task_source.module(begun.params.task.name, "metrics"),
        name,
        ruler.revision(module, where),
        manifest.content,
        begun.params.metric.options,
    )
    return Ruler(metrics, name, begun.params.metric.options, part.ids, part.targets), version


def _floors(begun: Start, today: Ruler) -> dict[str, dict[str, float]]:
    """Floor → its score under every metric; a human has one under the deciding metric only."""
    found = {name: today.scores(row, f"floor {name}") for name, row in arm.floors(begun.layout, today).items()}
    human = begun.params.judge.human
    return found if human is None else {**found, "human": {today.decides: human}}


def _judge(
    begun: Start, candidate: Scored, baseline: Scored | None, floors: dict[str, float], today: Ruler
) -> Judgement:
    if baseline is None:
        return judgement.against_floor(candidate, floors, today.metric, begun.params.judge)
    return judgement.against_baseline(candidate, baseline, today.metric, begun.params.judge)


def _write(
    begun: Start,
    candidate: Scored,
    baseline: Scored | None,
    floors: dict[str, dict[str, float]],
    found: Judgement,
    today: Ruler,
    version: str,
) -> None:
    layout, names = begun.layout, list(today.metrics)
    common = {
        "metric_version": version,
        "profile": begun.params.profile,
        "direction": today.metric.direction,
        "min_effect": today.metric.min_effect,
    }
    rows = [row for each in (candidate, baseline) if each for row in tables.replicate_rows(each, common, names)]
    rows += [{"arm": "floor", "strategy": name, "status": "ok", **common, **score} for name, score in floors.items()]
    columns = list(rows[0])
    files.write_text(layout.replicates, tables.text(columns, [[row.get(key, "") for key in columns] for row in rows]))
    _write_plots(begun, candidate, baseline, today)
    files.write_bytes(
        layout.metrics, msgspec.json.format(msgspec.json.encode(_flat(begun, candidate, found, today, version))) + b"\n"
    )


def _write_plots(begun: Start, candidate: Scored, baseline: Scored | None, today: Ruler) -> None:
    layout, part = begun.layout, examples.read_manifest(begun.layout.part("validation"))
    arms = {each.arm.arm: each for each in (baseline, candidate) if each}
    if today.metric.per_example is None or baseline is None or not (baseline.values(today.decides)):
        cases = tables.cases(today.ids, today.targets, np.zeros(len(today.ids)), np.zeros(len(today.ids)))
    else:
        before, after = (tables.shares(each, today).mean(axis=0) for each in (baseline, candidate))
        cases = tables.cases(today.ids, today.targets, before, after)
    files.write_text(layout.cases, cases)
    probabilities = part.classes is not None and candidate.predictions.ndim == 3
    empty = np.zeros((1, 0, len(part.classes or "?")))
    shown = candidate.finite if probabilities else empty
    targets = today.targets if probabilities else today.targets[:0]
    files.write_text(layout.plots / "confusion.csv", tables.confusion(targets, shown, part.classes or []))
    rows = tables.reliability(targets, {name: each.finite for name, each in arms.items()} if probabilities else {})
    files.write_text(layout.plots / "reliability.csv", rows)


def _flat(begun: Start, candidate: Scored, found: Judgement, today: Ruler, version: str) -> Flat:
    """results/metrics.json: flat, with neither nulls nor NaN, which `dvc exp show` would lose or choke on."""
    values = candidate.values(today.decides)
    flat: Flat = {
        "schema": 1,
        today.decides: float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "n": len(values),
        "diverged": candidate.diverged,
    }
    if result := found.comparison:
        flat |= {"baseline": result.baseline.mean, "delta": result.delta, "ci_low": result.ci[0]}
        flat |= {"ci_high": result.ci[1], "p": result.p}
    flat |= {"verdict": found.verdict, "metric_version": version, "profile": begun.params.profile}
    flat["commit"] = git.run(begun.layout.root, "rev-parse", "HEAD")
    if candidate.arm.unproven:  # a column only where there is something to say
        flat["unproven"] = ", ".join(candidate.arm.unproven)
    finite = {key: value for key, value in flat.items() if not isinstance(value, float) or np.isfinite(value)}
    return {key: value for key, value in finite.items() if value is not None}


def _changes(begun: Start) -> str:
    path = begun.layout.accepted
    named = records.decode(files.read_bytes(path, "dvc repro -f context"), Accepted, str(path))
    found = since(begun.run, named, begun.params.profile)
    return f"changed against {named.name}: {found}" if found else ""


def _say(begun: Start, candidate: Scored, found: Judgement, today: Ruler, version: str) -> None:
    if found.comparison:
        print(comparison.verdict_lines(found.comparison, today.decides, found.against, version))
    else:
        print(f"{found.verdict}: {found.reason}" + (f"; next: {found.mend}" if found.mend else ""))
    for late in candidate.arm.unproven:
        print(f"unproven: {late} was imported after the check; git add it, and add it to the stage's deps in dvc.yaml")
    if changed := _changes(begun):
        print(changed)
