"""One result that a report shows: an experiment, a revision, or what lies in the work tree, with its verdict.

Covers: finding it, judging its numbers at the level of the recorded look, what its record says beside. Imports no code
of the project. Not covered: the page (`commands.report_article`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import get_args

import msgspec

from assay.commands import compare as comparing
from assay.commands import compare_sides
from assay.commands.compare import Compared
from assay.commands.compare_options import Options
from assay.commands.compare_sides import SideSource
from assay.core.errors import AssayError, UsageError
from assay.core.metric_version import metric_name
from assay.core.params_yaml import Judge
from assay.core.paths import IN_PROJECT, METRICS, PARAMS, REPLICATES
from assay.core.schemas import DAMAGE
from assay.core.yaml12 import parse
from assay.history import experiment_notes, experiments, metrics_json
from assay.history.recorded_files import RecordedFiles
from assay.report import comparison_text
from assay.report.page.verdict_section import ReportedVerdict
from assay.runtime import project_root
from assay.stats import compare_arms, verdict_rule

#: how the results that lie in the work tree are called
WORK_TREE = "the work tree"
SCHEMA = 1
_NEW_EXAMPLES = re.compile(r"new examples: \[([^,\]]{1,40}), ([^,\]]{1,40})\]")
#: files of two runs lie side by side in the work tree
MIXED = f"caution: {IN_PROJECT.verdict} is of another run than {METRICS}, and so may be what DVC keeps; dvc checkout"
#: verdicts that no test gave
_UNTESTED = ("incomparable", "same")
#: what the first line of results/verdict.txt begins with
VERDICTS = frozenset((*get_args(verdict_rule.Verdict), *_UNTESTED))


@dataclass(frozen=True)
class ShownResult:
    """`name`: as a user calls it. `side`: its table of replicates. `metrics`: its results/metrics.json."""

    root: Path
    name: str
    side: SideSource
    files: RecordedFiles
    metrics: dict[str, object]

    @property
    def commit(self) -> str:
        return self.side.commit

    @property
    def metric_version(self) -> str:
        return metrics_json.text(self.metrics, "metric_version")

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return metric_name(self.metric_version)

    @cached_property
    def judge(self) -> Judge:
        """How its verdict was to be given; the defaults where its params.yaml cannot be read."""
        try:
            return msgspec.convert(parse(self.files.tracked(PARAMS) or b"").get("judge") or {}, Judge)
        except (AssayError, *DAMAGE):
            return Judge()

    @cached_property
    def said(self) -> list[str]:
        """Lines of results/verdict.txt; none where that is not at hand, or gives another verdict."""
        return [] if self._is_of_another_run else self._verdict_lines

    @cached_property
    def _verdict_lines(self) -> list[str]:
        content = self.files.kept(IN_PROJECT.verdict.as_posix()) or b""
        return [line.strip() for line in content.decode("utf-8", "replace").split("\n") if line.strip()]

    @property
    def _is_of_another_run(self) -> bool:
        """Whether Git's files and those of DVC are of two runs, as after `git checkout` without `dvc checkout`."""
        first = (self._verdict_lines or [""])[0].split(" ")[0].rstrip(":")
        return first in VERDICTS and first != metrics_json.text(self.metrics, "verdict")

    @cached_property
    def told(self) -> list[str]:
        """Why it was run, and what people learned from it."""
        if not self.commit:
            return [MIXED] if self._is_of_another_run else []
        why = experiments.reason_of(self.root, self.commit) if self.side.experiment else ""
        notes = experiment_notes.read(self.root).get(self.commit, ())
        return [*([f"why: {why}"] if why else []), *(f"note: {one.line}" for one in notes)]

    @property
    def new_examples(self) -> tuple[float, float] | None:
        """Ends of the interval for new examples, as `evaluate` said them."""
        match = next(filter(None, map(_NEW_EXAMPLES.match, self.said)), None)
        try:
            return None if match is None else (float(match[1]), float(match[2]))
        except ValueError:
            return None


def find(start: Path, name: str) -> ShownResult:
    """The experiment or revision called `name`, "" for the work tree. Raises UsageError."""
    root = project_root.find(start).root
    source = compare_sides.find(root, name) if name else _in_work_tree(root)
    if not source.is_record or (name and not source.commit):
        raise UsageError(
            f"{name or REPLICATES} is no result of Assay", allowed="an experiment or a revision with results"
        )
    files = RecordedFiles(root, source.commit)
    metrics, problem = experiments.parse_metrics(files.tracked(METRICS))
    schema = metrics.get("schema", SCHEMA)
    if problem or schema != SCHEMA:
        raise UsageError(
            f"{name or WORK_TREE}: {problem or f'{METRICS} has schema {schema}'}",
            allowed=f"a result with schema {SCHEMA}",
            hint="dvc exp run" if problem else "update Assay",
        )
    return ShownResult(root, name or WORK_TREE, source, files, metrics)


def _in_work_tree(root: Path) -> SideSource:
    if not (root / REPLICATES).is_file():
        raise UsageError(f"there is no {REPLICATES} in the work tree", hint="dvc exp run, or name an experiment")
    return compare_sides.find(root, str(root / REPLICATES))


def compared(result: ShownResult, options: Options) -> Compared:
    """Its numbers against what its record was measured against, at the level of the look. Raises AssayError.

    Where the ledger at hand does not know the look, the level is the one that the record names.
    """
    # over splits that overlap `compare` takes the test that fits
    split = compare_sides.overlap(result.side) is not None
    floor = "baseline" not in result.side.table["arm"]
    test = compare_arms.fitting_test(result.judge.test, fixed_value=floor or split)
    options = replace(options, test=test, examples=False)
    named = result.name if result.commit else str(result.root / REPLICATES)
    found = comparing.compare(result.root, [named], options)
    level = metrics_json.number(result.metrics, "level")
    if (found.off_account or not result.commit) and level is not None and options.alpha is None and 0 < level < 1:
        found = replace(
            comparing.compare(result.root, [named], replace(options, alpha=level)), off_account=found.off_account
        )
    return replace(found, candidate=result.name, origins=dict.fromkeys([result.name], *found.origins.values()))


def verdict(result: ShownResult, options: Options) -> tuple[ReportedVerdict, Compared | None]:
    """What a page says of it, and the comparison behind it; None where nothing was tested, or cannot be."""
    recorded = metrics_json.text(result.metrics, "verdict") or "none"
    if recorded in _UNTESTED:
        return _untested(result, recorded, _first(result, recorded)), None
    try:
        found = compared(result, options)
    except AssayError as error:
        return _untested(result, recorded, error.sentence), None
    lines = [*_beside(found, 0 if result.said else found.comparisons), *result.said[2:]]
    if found.result.verdict != recorded:
        lines.insert(0, f"caution: the record says {recorded}, its numbers give {found.result.verdict}")
    named = (result.metric, result.metric_version, found.baseline, result.name)
    told = tuple(dict.fromkeys([*result.told, *lines]))
    return ReportedVerdict(found.result.verdict, *named, found.result, told, result.new_examples), found


def _beside(found: Compared, comparisons: int) -> list[str]:
    result = found.result
    lines = [
        *comparison_text.details(result, comparison_text.decimals(result)),
        *comparison_text.remarks(result, comparisons),
        *comparison_text.origin_lines(found.origins),
    ]
    return lines + ([found.off_account] if found.off_account else [])


def _untested(result: ShownResult, word: str, why: str) -> ReportedVerdict:
    against = compare_sides.strategy(result.side, "baseline") or "floor"
    return ReportedVerdict(
        word,
        result.metric,
        result.metric_version,
        against,
        result.name,
        None,
        [*result.told, *result.said[1:]],
        None,
        why,
    )


def _first(result: ShownResult, word: str) -> str:
    """Why, as the first line of results/verdict.txt says it."""
    return result.said[0].removeprefix(f"{word}: ") if result.said else ""
