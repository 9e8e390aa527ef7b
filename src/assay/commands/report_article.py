"""Everything that a page says of one result, section by section in a fixed order.

Covers: reading each section's files, naming what is not at hand, so that one gap never empties the page. Not covered:
how a section looks (`assay.report.page`), families of results (`commands.report`).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from assay.changes import strategy_content
from assay.changes.strategy_content import StrategyContent
from assay.commands import report_grid, report_tables
from assay.commands.report_result import ShownResult
from assay.core import net_record, reported_key, schemas
from assay.core.case_records import CasesRecord
from assay.core.errors import AssayError
from assay.core.paths import ARMS, IN_PROJECT, MANIFEST, PLOTS, VALIDATION_PART
from assay.core.sanitize_output import csv_cell
from assay.core.schemas import Arm, Part
from assay.history import metrics_json
from assay.report import comparison_text
from assay.report.page import (
    cases_section,
    class_sections,
    net_section,
    record_sections,
    replicate_sections,
    verdict_section,
)
from assay.report.page.page_blocks import Gap, PageArticle, PageSection
from assay.report.page.record_sections import ArmPrice, Provenance
from assay.report.page.replicate_sections import CurvePoint
from assay.report.page.verdict_section import ReportedVerdict
from assay.runtime import git, npy_files

R = TypeVar("R")
#: digits where no spread says how many
DIGITS = 4
SLICES, DOCTOR, NET = (path.as_posix() for path in (IN_PROJECT.slices, IN_PROJECT.doctor, IN_PROJECT.net))
CONFUSION, RELIABILITY = f"{PLOTS}/confusion.csv", f"{PLOTS}/reliability.csv"


def article(result: ShownResult, verdict: ReportedVerdict, name: str) -> PageArticle:
    """All sections about one result. `name`: its place in the page's address."""
    return PageArticle(name, f"{result.name}: {verdict.word}", list(_sections(result, verdict)))


def _sections(result: ShownResult, verdict: ReportedVerdict) -> Iterator[PageSection]:
    digits = DIGITS if verdict.result is None else comparison_text.decimals(verdict.result)
    min_effect = 0.0 if verdict.result is None else verdict.result.min_effect
    reader = _Reader(result)
    rows = reader.parsed(SLICES, report_tables.slices, "slices and classes") or []
    slice_gaps = reader.taken()
    arms = {arm: reader.arm(arm) for arm in ARMS}
    arm_gaps = reader.taken()
    yield verdict_section.verdict_section(verdict)
    yield _replicates(result, digits)
    curves, curve_gaps = _curves(reader)
    yield replicate_sections.curves_section(curves, curve_gaps)
    yield verdict_section.new_examples_section(verdict)
    yield _cases(reader)
    yield _changes(result, verdict.baseline)
    yield _classes(reader, rows, slice_gaps)
    yield class_sections.ensemble_section(rows)
    yield record_sections.price_section(_price(arms["baseline"]), _price(arms["candidate"]), arm_gaps)
    yield class_sections.slices_section(rows, min_effect, digits)
    yield replicate_sections.end_of_training_section(curves)
    yield _data(reader)
    yield verdict_section.cautions_section(verdict)
    yield from report_grid.sections(result, min_effect, digits)
    yield _net(reader)
    yield _doctor(reader)
    yield record_sections.provenance_section(_provenance(result, arms), reader.taken())


class _Reader:
    """Files of one result, and the gaps that reading them left."""

    def __init__(self, result: ShownResult) -> None:
        self.result = result
        self._told: set[str] = set()
        self._damaged: list[Gap] = []

    def kept(self, path: str) -> bytes | None:
        return self.result.files.kept(path)

    def parsed(self, path: str, parse: Callable[[bytes | None], R], what: str) -> R | None:
        """What `parse` makes of a file; None, and a gap, where it cannot."""
        try:
            return parse(self.kept(path))
        except (AssayError, ValueError, OverflowError) as error:
            why = error.problem if isinstance(error, AssayError) else str(error)
            self._damaged.append(Gap(f"{what} ({path})", why, "dvc exp run"))
            return None

    def arm(self, arm: str) -> Arm | None:
        """Who was measured, None where no record is at hand."""
        path = IN_PROJECT.record(arm).as_posix()
        return self.parsed(path, lambda content: None if content is None else schemas.decode(content, Arm, path), arm)

    def taken(self) -> list[Gap]:
        """Gaps since this was asked before."""
        missing = self.result.files.missing
        found = [Gap(one.path, one.why, one.hint) for path, one in missing.items() if path not in self._told]
        self._told |= missing.keys()
        found, self._damaged = [*found, *self._damaged], []
        return found


def _replicates(result: ShownResult, digits: int) -> PageSection:
    rows = report_tables.replicates(result.side.table, result.metric)
    floors = report_tables.floors(result.side.table, result.metric)
    return replicate_sections.replicates_section(rows, floors, result.metric, digits)


def _curves(reader: _Reader) -> tuple[dict[str, Sequence[CurvePoint]], list[Gap]]:
    found: dict[str, Sequence[CurvePoint]] = {
        arm: reader.parsed(IN_PROJECT.curves(arm).as_posix(), report_tables.curves, f"curves of the {arm}") or []
        for arm in ARMS
    }
    return found, reader.taken()


def _cases(reader: _Reader) -> PageSection:
    path = IN_PROJECT.case_record.as_posix()
    found = reader.parsed(
        path, lambda content: None if content is None else schemas.decode(content, CasesRecord, path), "cases"
    )
    return cases_section.cases_section(found, reader.taken())


def _classes(reader: _Reader, rows: Sequence[class_sections.SliceRow], gaps: Sequence[Gap]) -> PageSection:
    pairs = reader.parsed(CONFUSION, report_tables.confusion, "confusion") or []
    bins = reader.parsed(RELIABILITY, report_tables.reliability, "reliability") or []
    before = _baseline_pairs(reader, [actual for actual, _ in pairs]) if pairs else []
    found = {"baseline": before, "candidate": pairs}
    return class_sections.classes_section(found, bins, rows, [*gaps, *reader.taken()])


def _baseline_pairs(reader: _Reader, actual: Sequence[str]) -> list[tuple[str, str]]:
    """The baseline's mean prediction of each example, whose classes the candidate's confusion has in their order."""
    manifest = reader.kept(f"{VALIDATION_PART}/{MANIFEST}")
    places = {arm: f"{IN_PROJECT.predictions(arm).as_posix()}/ids.npy" for arm in ARMS}
    content = reader.kept(f"{IN_PROJECT.predictions('baseline').as_posix()}/predictions.npy")
    ids = [reader.kept(place) for place in places.values()]
    if manifest is None or content is None or ids[0] is None or ids[0] != ids[1]:
        return []
    try:
        classes = schemas.decode(manifest, Part, MANIFEST).classes or []
        predictions = npy_files.parse(content)
    except (AssayError, *npy_files.BROKEN):
        return []
    if predictions.ndim != 3 or predictions.shape[1:] != (len(actual), len(classes)):
        return []
    finite = predictions[np.isfinite(predictions).all(axis=(1, 2))]
    if not len(finite):
        return []
    predicted = finite.mean(axis=0).argmax(axis=1)
    return [(name, str(csv_cell(classes[number]))) for name, number in zip(actual, predicted, strict=True)]


def _changes(result: ShownResult, against: str) -> PageSection:
    """Against the accepted strategy; for a floor against the commit that the experiment began from."""
    root = result.root
    base = git.resolve(root, against) if not against.startswith("floor") else None
    begun = base or git.resolve(root, metrics_json.text(result.metrics, "commit"))
    if begun is None:
        why = f"{against} is no commit of this repository"
        return record_sections.changes_section(None, ({}, {}), why, against)
    profile = metrics_json.text(result.metrics, "profile") or "full"
    try:
        before, after = _content(root, begun, profile), _content(root, result.commit, profile)
    except (AssayError, OSError, KeyError) as error:
        why = error.sentence if isinstance(error, AssayError) else str(error)
        return record_sections.changes_section(None, ({}, {}), why, against)
    sources = before.sources, after.sources
    named = against if base else f"commit {begun[:12]}"
    return record_sections.changes_section(after.since(before), sources, "", named)


def _content(root: Path, commit: str, profile: str) -> StrategyContent:
    if not commit:
        return strategy_content.in_work_tree(root, profile)
    return strategy_content.in_commit(root, commit, profile)


def _price(arm: Arm | None) -> ArmPrice | None:
    measured = arm.measurement if arm else None
    if measured is None:
        return None
    finished = [one for one in measured.replicates if one.diverged is None]
    inference = [one.inference for one in finished if one.inference is not None]
    return ArmPrice(
        measured.weights,
        sum(one.seconds for one in finished) / len(finished) if finished else None,
        sum(inference) / len(inference) if inference and len(inference) == len(finished) else None,
        frozenset(one.execution for one in finished),
    )


def _data(reader: _Reader) -> PageSection:
    card, split = (
        report_tables.json_object(reader.kept(path))
        for path in (f"{IN_PROJECT.prepared.as_posix()}/card.json", IN_PROJECT.split_report.as_posix())
    )
    return record_sections.data_section(card, split, reader.taken())


def _net(reader: _Reader) -> PageSection:
    found = reader.parsed(NET, lambda content: None if content is None else net_record.decoded(content, NET), "the net")
    return net_section.net_section(found, reader.taken(), reported_key.is_reported(reader.result.metric_version))


def _doctor(reader: _Reader) -> PageSection:
    found = report_tables.json_object(reader.kept(DOCTOR))
    findings = found.get("findings") if found else None
    listed = [one for one in findings if isinstance(one, Mapping)] if isinstance(findings, list) else None
    return record_sections.doctor_section(listed)


def _provenance(result: ShownResult, arms: Mapping[str, Arm | None]) -> Provenance:
    rows = [("result", result.name), ("commit", result.commit or "none: results of the work tree")]
    rows += [("started from", metrics_json.text(result.metrics, "commit"))]
    rows += [("metric version", result.metric_version), ("profile", metrics_json.text(result.metrics, "profile"))]
    for name, arm in arms.items():
        rows += [(f"{name}: {what}", value) for what, value in _of_arm(arm)]
    return Provenance([row for row in rows if row[1]], _again(result))


def _of_arm(arm: Arm | None) -> list[tuple[str, str]]:
    measured = arm.measurement if arm else None
    if arm is None or measured is None:
        return []
    replicates = measured.replicates
    seconds, reused = sum(one.seconds for one in replicates), sum(one.reused for one in replicates)
    return [
        ("strategy", f"{arm.name} ({arm.commit[:12]})"),
        ("environment", arm.environment.key),
        (
            "keys",
            f"code {measured.identity.code[:12]}, data {measured.identity.data[:12]}, evaluated {arm.evaluated[:12]}",
        ),
        ("cost", f"{seconds:.3g} s of training in {len(replicates)} replicates, {reused} of them from the cache"),
        ("peak memory", f"{measured.peak_memory / 2**20:,.0f} MiB"),
    ]


def _again(result: ShownResult) -> str:
    """The command that measures the same again."""
    if not result.commit:
        return "dvc repro -f"
    if result.side.experiment:
        return f"dvc exp apply {shlex.quote(result.name)} && dvc exp run -f"
    return f"git checkout {result.commit[:12]} && dvc exp run -f"
