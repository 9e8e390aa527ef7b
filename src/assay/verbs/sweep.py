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


@dataclass(frozen=True)
class Tried:
    """One combination. `verdict` holds for the whole family, `alone` is its own comparison with the baseline."""

    settings: tuple[str, ...]
    experiment: str
    alone: Comparison
    p_holm: float
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
    return _judged(made, found, version, asked.alpha, "student" if asked.test == "student" else "welch")


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
    alone = [_alone(rows, metric, alpha, test) for rows in found]
    strict = [_alone(rows, metric, alpha / len(found), test).verdict for rows in found]
    adjusted = families.holm([one.p for one in alone])
    tried = [
        Tried(each.settings, each.name, one, p, _verdict(one, p, alpha, narrow))
        for each, one, p, narrow in zip(made, alone, adjusted, strict, strict=True)
    ]
    floors = {name for rows in found for name in [_floor(rows, metric)[0]]}
    return Sweep(metric, version, names.pop() if names else f"floor {floors.pop()}", tried)


def _alone(rows: Sequence[Row], metric: str, alpha: float, test: str) -> Comparison:
    candidate, first = _values(rows, "candidate", metric), rows[0]
    baseline = _values(rows, "baseline", metric)
    return compare(
        baseline if any(row["arm"] == "baseline" for row in rows) else _floor(rows, metric)[1],
        candidate,
        first["direction"],
        alpha=alpha,
        min_effect=float(first["min_effect"]),
        test=test,
        diverged_baseline=_diverged(rows, "baseline"),
        diverged_candidate=_diverged(rows, "candidate"),
    )


def _verdict(alone: Comparison, p_holm: float, alpha: float, strict: str) -> str:
    """What holds in the whole family: a difference by Holm, equivalence by an interval that covers all of them."""
    if alone.verdict in ("progress", "regression"):
        return alone.verdict if p_holm <= alpha else "inconclusive"
    return alone.verdict if alone.verdict == strict else "inconclusive"


def _values(rows: Sequence[Row], arm: str, metric: str) -> list[float]:
    return [float(row[metric]) for row in rows if row["arm"] == arm and row["status"] == "ok"]


def _diverged(rows: Sequence[Row], arm: str) -> int:
    return sum(row["arm"] == arm and row["status"] == "diverged" for row in rows)


def _floor(rows: Sequence[Row], metric: str) -> tuple[str, float]:
    """The floor that is hardest to beat."""
    known = {row["strategy"]: float(row[metric]) for row in rows if row["arm"] == "floor" and row[metric]}
    best = (max if rows[0]["direction"] == "maximize" else min)(known, key=lambda name: known[name])
    return best, known[best]
