"""Settings that were measured before a search begins: by experiments, and by other searches.

They are told to the sampler and not trained again. Covers: which lie in the space and have all else as HEAD. Not
covered: whether metric and environment are today's (`stages.measure_settings`), telling them (`search.progress`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.changes import strategy_content
from assay.commands import experiment_grid, search_problems
from assay.commands.experiment_grid import Wanted
from assay.commands.search_setup import SearchSetup, strategy_hash
from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.core.paths import PARAMS, REPLICATES
from assay.core.search_space import Setting, same, written
from assay.history import replicates_csv, search_records
from assay.history.experiments import Experiment, read
from assay.history.search_records import KnownSetting, RecordedSearch
from assay.runtime import git
from assay.search import generations
from assay.stats import verdict_rule

#: settings of other searches that are measured at once, beside that of HEAD
STARTS = generations.SIZE - 1


def known(made: SearchSetup) -> list[KnownSetting]:
    """Settings of the space that were measured, each once, in an order that follows from what they are."""
    every = [*_of_searches(made), *_of_experiments(made)]
    first = {same(one.values): one for one in reversed(every) if not made.plan.space.outside(one.values)}
    first.pop(same(made.own), None)
    return sorted(first.values(), key=lambda one: (one.source, same(one.values)))


def starts(made: SearchSetup) -> list[Setting]:
    """HEAD's own setting, then the best ones of other searches: on the same seeds, so nothing of them trains again."""
    found: list[tuple[float, Setting]] = []
    for name in search_records.names(made.layout.root):
        recorded = search_records.read(made.layout.root, name)
        sign = verdict_rule.sign(recorded.terms.direction) if recorded.terms else 1.0
        told = _of_search(made, name, recorded)
        found += [(sign * one.value, one.values) for one in told if one.value is not None]
    best = sorted(found, key=lambda each: (-each[0], same(each[1])))
    inside = {same(setting): setting for _, setting in best if not made.plan.space.outside(setting)}
    inside.pop(same(made.own), None)
    return [made.own, *list(inside.values())[:STARTS]]


def _of_searches(made: SearchSetup) -> list[KnownSetting]:
    root = made.layout.root
    return [
        one for name in search_records.names(root) for one in _of_search(made, name, search_records.read(root, name))
    ]


def _of_search(made: SearchSetup, name: str, recorded: RecordedSearch) -> list[KnownSetting]:
    """Finished settings of another search around the same strategy."""
    terms = recorded.terms
    if name == made.name or terms is None or (terms.strategy, terms.metric) != (made.strategy, made.asked.metric.name):
        return []
    found = []
    for one, _ in recorded.settings():
        parts = [part.scores for at in (0, 1) if (part := recorded.finished.get((one.number, at))) is not None]
        scores = [score for part in parts for score in part]
        if scores:
            value = generations.mean(scores, terms.worst)
            found.append(_known(one.values, value, len(scores), terms.metric_version, terms.environment, name))
    return found


def _of_experiments(made: SearchSetup) -> list[KnownSetting]:
    """Experiments that have all but the space as HEAD; not finalists of this very search, so that it can be repeated
    after its ref was deleted."""
    root, keys = made.layout.root, {one.key for one in made.plan.space.keys}
    rest = {key: value for key, value in search_problems.parameters(made.asked).items() if key not in keys}
    found = []
    for one in read(root).experiments:
        values = _parameters(root, one)
        if values is None or {key: value for key, value in values.items() if key not in keys} != rest:
            continue
        setting = made.plan.space.within(values)
        if one.name == experiment_grid.cell(made.layout, Wanted(made.name), written(setting)).name:
            continue
        if (told := _told(made, one, setting, rest)) is not None:
            found.append(told)
    return found


def _told(made: SearchSetup, one: Experiment, setting: Setting, rest: Mapping[str, Any]) -> KnownSetting | None:
    """What an experiment says of its setting; None where its code is another one, or its records do not say it."""
    root, metric = made.layout.root, made.asked.metric.name
    rows = replicates_csv.rows(git.read(root, one.commit, REPLICATES) or b"")
    rows = [row for row in rows if row["arm"] == "candidate"]
    if not rows or metric not in rows[0] or not rows[0].get("direction"):
        return None
    try:
        asked = params_yaml.resolved(git.read(root, one.commit, PARAMS) or b"")
        if strategy_hash(strategy_content.with_params(root, one.commit, asked), asked, rest) != made.strategy:
            return None
    except AssayError:
        return None
    value, first = replicates_csv.candidate_mean(rows, metric), rows[0]
    return _known(setting, value, len(rows), first["metric_version"], first.get("environment", ""), one.name)


def _known(
    values: Setting, value: float | None, n: int, metric_version: str, environment: str, source: str
) -> KnownSetting:
    return KnownSetting(
        values=values, value=value, n=n, metric_version=metric_version, environment=environment, source=source
    )


def _parameters(root: Path, one: Experiment) -> dict[str, Any] | None:
    try:
        return search_problems.parameters(params_yaml.resolved(git.read(root, one.commit, PARAMS) or b""))
    except AssayError:
        return None
