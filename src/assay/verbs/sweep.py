"""`assay sweep`: several values of a few parameters, all of them against the baseline, judged as one family.

Every combination is an experiment, so that each can be accepted. Trying more values finds more luck: p is
adjusted by Holm over all of them. Not covered: running them (`verbs.cells`), choosing values, which is a
search's business.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.history import project
from assay.judging import families
from assay.judging.compare import Comparison, compare
from assay.outside import files
from assay.verbs import cells
from assay.verbs.cells import Cell, Row, Say
from assay.words import params
from assay.words.errors import UsageError

LARGEST = 64
SAME = "same"


@dataclass(frozen=True)
class Tried:
    """One combination. `verdict` holds for the whole family, `alone` is its own comparison with the baseline.

    A combination that is the baseline itself is no member of the family: `same`, and no p.
    """

    settings: tuple[str, ...]
    experiment: str
    alone: Comparison
    p_holm: float | None
    verdict: str


@dataclass(frozen=True)
class Sweep:
    """All combinations in the order of their settings."""

    metric: str
    metric_version: str
    baseline: str
    tried: list[Tried]


def sweep(start: Path, settings: Sequence[str], say: Say) -> Sweep:
    """Measure every combination of `settings` (key=value,value,…) on HEAD against the baseline.

    Raises UsageError for fewer than two or more than 64 combinations, and for one that does not run.
    """
    layout = project.find(start)
    cells.check_settings(settings)
    made = [cells.cell(layout, "sweep", chosen) for chosen in combinations(settings)]
    found = cells.measure(layout, made, say)
    version = cells.version(found)
    asked = params.load(files.read_bytes(layout.params)).judge
    return _judged(made, found, version, asked.alpha, asked.test)


def combinations(settings: Sequence[str]) -> list[tuple[str, ...]]:
    """Every way to give each key one of its values. Raises UsageError for a key or a value that is there twice."""
    keys = [setting.partition("=")[0] for setting in settings]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise UsageError(f"-S {twice} is given {keys.count(twice)} times", allowed=f"-S {twice}=VALUE,VALUE once")
    values = [
        [f"{key}={value.strip()}" for value in setting.partition("=")[2].split(",")]
        for key, setting in zip(keys, settings, strict=True)
    ]
    found = list(itertools.product(*values))
    if not 2 <= len(set(found)) == len(found) <= LARGEST:
        raise UsageError(
            f"{', '.join(settings) or 'nothing'} makes {len(set(found)) if settings else 0} different combinations",
            allowed=f"2 to {LARGEST}, e.g. -S lr=1e-3,3e-3,1e-2",
        )
    return found


def _judged(made: Sequence[Cell], found: Sequence[list[Row]], version: str, alpha: float, test: str) -> Sweep:
    metric = version.rpartition("-")[0]
    names = {row["strategy"] for rows in found for row in rows if row["arm"] == "baseline"}
    if len(names) > 1:
        raise UsageError(f"the cells have the baselines {', '.join(sorted(names))}", mend="dvc exp remove the old")
    tested = [rows for rows in found if not _same(rows)]
    adjusted = iter(families.holm([_alone(rows, metric, alpha, test).p for rows in tested]))
    tried = []
    for one, rows in zip(made, found, strict=True):
        alone = _alone(rows, metric, alpha, test)
        if _same(rows):
            tried.append(Tried(one.settings, one.name, alone, None, SAME))
            continue
        p, strict = next(adjusted), _alone(rows, metric, alpha / len(tested), test).verdict
        tried.append(Tried(one.settings, one.name, alone, p, _verdict(alone, p, alpha, strict)))
    floors = {name for rows in found for name in [_floor(rows, metric)[0]]}
    return Sweep(metric, version, names.pop() if names else f"floor {floors.pop()}", tried)


def _same(rows: Sequence[Row]) -> bool:
    """Whether candidate and baseline are one strategy, whose difference can only be luck."""
    named = {row["arm"]: row["identity"] for row in rows}
    return named.get("baseline") == named["candidate"]


def _alone(rows: Sequence[Row], metric: str, alpha: float, test: str) -> Comparison:
    """The candidate of one cell against its baseline; against a floor there is nothing to pair with or to permute."""
    candidate, first = _values(rows, "candidate", metric), _values(rows, "baseline", metric)
    floor = not any(row["arm"] == "baseline" for row in rows)
    if test == "paired" and not floor:
        both = sorted(first.keys() & candidate.keys())
        first, candidate = ({seed: arm[seed] for seed in both} for arm in (first, candidate))
    return compare(
        _floor(rows, metric)[1] if floor else list(first.values()),
        list(candidate.values()),
        rows[0]["direction"],
        alpha=alpha,
        min_effect=float(rows[0]["min_effect"]),
        test="welch" if floor and test not in ("welch", "student") else test,
        diverged_baseline=_diverged(rows, "baseline"),
        diverged_candidate=_diverged(rows, "candidate"),
    )


def _verdict(alone: Comparison, p_holm: float, alpha: float, strict: str) -> str:
    """What holds in the whole family: a difference by Holm, equivalence by an interval that covers all of them."""
    if alone.verdict in ("progress", "regression"):
        return alone.verdict if p_holm <= alpha else "inconclusive"
    return alone.verdict if alone.verdict == strict else "inconclusive"


def _values(rows: Sequence[Row], arm: str, metric: str) -> dict[int, float]:
    """Number → value of the replicates that did not diverge."""
    return {int(row["replicate"]): float(row[metric]) for row in rows if row["arm"] == arm and row["status"] == "ok"}


def _diverged(rows: Sequence[Row], arm: str) -> int:
    return sum(row["arm"] == arm and row["status"] == "diverged" for row in rows)


def _floor(rows: Sequence[Row], metric: str) -> tuple[str, float]:
    """The floor that is hardest to beat."""
    known = {row["strategy"]: float(row[metric]) for row in rows if row["arm"] == "floor" and row[metric]}
    best = (max if rows[0]["direction"] == "maximize" else min)(known, key=lambda name: known[name])
    return best, known[best]
