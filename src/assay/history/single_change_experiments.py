"""Changes that some experiment made alone, among thousands.

Covers: experiments with a verdict that differ from the baseline in one parameter, or in the candidate's code with the
parameters that come or go with it. Not covered: what the candidate changes (`changes.strategy_content`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from assay.changes import strategy_diff
from assay.changes.strategy_content import StrategyContent
from assay.changes.strategy_diff import Changes
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.paths import PARAMS, ProjectPaths
from assay.history import metrics_json
from assay.history.experiments import Experiment
from assay.runtime import dvc_yaml, git
from assay.runtime.git_objects import Object, reading

#: what a strategy is accepted under
PROFILE = "full"


def measured_alone(
    root: Path, experiments: Iterable[Experiment], version: str, before: StrategyContent, after: StrategyContent
) -> set[str]:
    """Those parts of what `after` changes against `before`, the baseline, that an experiment measured alone.

    It counts with a verdict under the metric version `version` and the full profile.
    """
    wanted, paths = after.since(before), sorted({*before.sources, *after.sources})
    commits = [item.commit for item in experiments if _counts(item, version)]
    prefix, pipeline = git.prefix(root), ProjectPaths(root).pipeline
    with reading(root) as objects:
        code = objects.read([f"{commit}:{posixpath.normpath(prefix + path)}" for commit in commits for path in paths])
        params = objects.read([f"{commit}:{prefix}{PARAMS}" for commit in commits])
    rows = range(0, len(commits) * len(paths), len(paths)) if paths else [0] * len(commits)
    forms = [_forms(paths, code[first : first + len(paths)]) for first in rows]
    old, new = (_forms_of_texts(paths, one) for one in (before, after))
    tried = dict.fromkeys(
        (one.content, form == old, form == new) for one, form in zip(params, forms, strict=True) if one
    )
    declared = pipeline.read_bytes() if pipeline.is_file() else b""
    return {part for one in tried for part in _alone(before, wanted, declared, *one)}


def ablation(found: Changes) -> str:
    """The command that measures each part of `found` alone, and all of them together."""
    branch = "--branch BRANCH" if found.code_change else ""  # one that changes nothing else
    return " ".join(word for word in ("assay ablate", found.settings, branch) if word)


def _counts(item: Experiment, version: str) -> bool:
    asked = {"metric_version": version, "profile": PROFILE}
    return bool(metrics_json.text(item.metrics, "verdict")) and all(
        metrics_json.text(item.metrics, key) == value for key, value in asked.items()
    )


@cache
def _form(path: str, content: bytes) -> str:
    return strategy_diff.form(path, content.decode("utf-8", "surrogateescape"))


def _forms(paths: Sequence[str], sources: Sequence[Object | None]) -> list[str | None]:
    return [None if one is None else _form(path, one.content) for path, one in zip(paths, sources, strict=True)]


def _forms_of_texts(paths: Sequence[str], content: StrategyContent) -> list[str | None]:
    texts = [(path, content.sources.get(path)) for path in paths]
    return [None if text is None else strategy_diff.form(path, text) for path, text in texts]


def _alone(
    before: StrategyContent, wanted: Changes, declared: bytes, params: bytes, old_code: bool, new_code: bool
) -> Iterator[str]:
    """The part of `wanted` that an experiment tried: one with these parameters, with the old or the new code."""
    try:
        asked = params_yaml.resolved(dvc_yaml.own_parameters(params, declared), PROFILE)
    except UsageError:
        return
    found = strategy_diff.changes(before.parameters, params_yaml.strategy(asked), {}, {})
    if old_code and found.count == 1:
        yield from {*map(str, found.changed)} & {*map(str, wanted.changed)}
    came_and_went = found.introduced, found.removed
    if new_code and not found.changed and came_and_went == (wanted.introduced, wanted.removed) and wanted.code_change:
        yield wanted.code_change
