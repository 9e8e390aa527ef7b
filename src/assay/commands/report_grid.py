"""The sweep or ablation that a result was measured in, as the ledger knows it.

Covers: which family its strategy is a member of, the experiments of that family that are at hand, the effects of an
ablation whose cells all are. Not covered: judging a sweep (`commands.sweep`).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from assay.changes import experiment_diffs
from assay.changes.strategy_diff import Changes
from assay.commands import ablation_effects, compare_sides
from assay.commands.report_result import ShownResult
from assay.core.errors import AssayError
from assay.core.paths import REPLICATES
from assay.history import experiments, look_ledger, metrics_json, replicates_csv
from assay.history.attempt_and_family_entries import FamilyEntry
from assay.history.experiments import Experiment
from assay.history.look_ledger import Ledger
from assay.history.replicates_csv import Row
from assay.report.page import family_section
from assay.report.page.family_section import AblationEffects, FamilyTerms, MeasuredTogether
from assay.report.page.page_blocks import PageSection
from assay.runtime import files, git
from assay.runtime.git_objects import reading
from assay.stats.alpha_budget import LookEntry

#: names of an ablation's changes in its chart, whose own names are long
LETTERS = "ABC"


class _FamilyExperiment(NamedTuple):
    """An experiment, and the candidate's rows of its table."""

    experiment: Experiment
    rows: Sequence[Row]


def sections(result: ShownResult, min_effect: float, digits: int) -> Iterator[PageSection]:
    """One section for each family that the result's strategy was judged in; none where there is none."""
    identity = compare_sides.identity(result.side, "candidate")
    try:
        known = look_ledger.read(result.root)
    except AssayError:
        return
    families = [one for one in known.entries.values() if isinstance(one, FamilyEntry) and identity in one.members]
    if not identity or not families:
        return
    measured = _measured(result)
    for number, family in enumerate(sorted(families, key=lambda one: (one.command, one.members)), start=1):
        look = _look(known, family)
        chosen = {
            name: _chosen(measured[name], result.name, family.command, look)
            for name in family.members
            if name in measured
        }
        changed = _changes(result, chosen, family)
        rows = [_row(cell, changed.get(cell.experiment.commit)) for cell in chosen.values()]
        effects = _effects(list(chosen.values()), changed, result.metric_version, look) if look else None
        terms = FamilyTerms(family.command, family.size, min_effect, result.metric, digits)
        yield family_section.measured_together_section(terms, rows, effects, number)


def _look(known: Ledger, family: FamilyEntry) -> LookEntry | None:
    """The look at an ablation as a whole; None for a sweep, which has a look an idea."""
    about = files.digest("\n".join(family.members).encode())
    return next((one for one in known.looks if one.identity == about and one.baseline == family.baseline), None)


def _measured(result: ShownResult) -> dict[str, list[_FamilyExperiment]]:
    """Identity of a strategy → the experiments that measured it under the result's metric version."""
    root, prefix = result.root, git.prefix(result.root)
    known = [
        one
        for one in experiments.read(root, stamps=False).experiments
        if metrics_json.text(one.metrics, "metric_version") == result.metric_version
    ]
    with reading(root) as objects:
        tables = objects.read([f"{one.commit}:{prefix}{REPLICATES}" for one in known])
    found: dict[str, list[_FamilyExperiment]] = defaultdict(list)
    for one, table in zip(known, tables, strict=True):
        rows = _candidate(table.content) if table else []
        if rows and rows[0].get("identity"):
            found[rows[0]["identity"]].append(_FamilyExperiment(one, rows))
    return found


def _candidate(content: bytes) -> list[Row]:
    try:
        return [row for row in replicates_csv.rows(content) if row.get("arm") == "candidate"]
    except ValueError:
        return []


def _chosen(cells: Sequence[_FamilyExperiment], name: str, command: str, look: LookEntry | None) -> _FamilyExperiment:
    """Of several experiments with one strategy: on the look's seeds, the one shown, one named by its command."""

    def rank(cell: _FamilyExperiment) -> tuple[bool, bool, bool, str]:
        own = cell.experiment.name
        return not _is_of(cell, look), own != name, not own.startswith(f"{command}-"), own

    return min(cells, key=rank)


def _is_of(cell: _FamilyExperiment, look: LookEntry | None) -> bool:
    """Whether these replicates are those that the look saw."""
    return look is not None and (cell.rows[0].get("seed"), len(cell.rows)) == (str(look.key.candidate), look.key.n)


def _changes(result: ShownResult, chosen: Mapping[str, _FamilyExperiment], family: FamilyEntry) -> dict[str, Changes]:
    """Commit of an experiment → what it changed of the commit that it was run on.

    Cells of an ablation that hold a branch were run on a commit with it: all are held against that of the cell without
    changes, which the account of an ablation names.
    """
    center = chosen.get(family.baseline.rpartition(" ")[2])
    pairs = [((center or cell).experiment.base, cell.experiment.commit) for cell in chosen.values()]
    with reading(result.root) as objects:
        return experiment_diffs.changes(result.root, pairs, objects)


def _row(cell: _FamilyExperiment, changed: Changes | None) -> MeasuredTogether:
    numbers = cell.experiment.metrics
    delta, low, high = (metrics_json.number(numbers, key) for key in ("delta", "ci_low", "ci_high"))
    said = "not known" if changed is None else str(changed) if changed.parts else "nothing"
    return MeasuredTogether(cell.experiment.name, said, delta, low, high, metrics_json.text(numbers, "verdict"))


def _effects(
    cells: Sequence[_FamilyExperiment], changed: Mapping[str, Changes], version: str, look: LookEntry
) -> AblationEffects | None:
    """Effects at the level of the look; None where a cell is not at hand, or what it changes is not known."""
    if look.key.test != "factorial" or not look.level or not all(_is_of(cell, look) for cell in cells):
        return None
    parts = [frozenset(changed[one.commit].parts) for one, _ in cells if one.commit in changed]
    factors = _factors(parts)
    if len(parts) != len(cells) or not factors:
        return None
    named = dict(zip(LETTERS, factors, strict=False))
    found = {
        tuple(letter for letter, factor in named.items() if factor <= own): cell.rows
        for own, cell in zip(parts, cells, strict=True)
    }
    found = dict(sorted(found.items(), key=lambda one: (len(one[0]), one[0])))
    try:
        result = ablation_effects.judged(found, version, look.level).result
    except (AssayError, KeyError, ValueError):
        return None
    return AblationEffects({letter: " · ".join(sorted(factor)) for letter, factor in named.items()}, result)


def _factors(cells: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """The two or three changes whose combinations `cells` are, each exactly once; none where they are none such."""
    factors: list[frozenset[str]] = []
    for cell in sorted(set(cells), key=lambda parts: (len(parts), sorted(parts))):
        if cell != frozenset().union(*(factor for factor in factors if factor <= cell)):
            factors.append(cell)
    sizes = range(len(factors) + 1)
    every = [frozenset[str]().union(*chosen) for size in sizes for chosen in itertools.combinations(factors, size)]
    fits = 2 <= len(factors) <= len(LETTERS) and len(set(every)) == len(cells) and set(every) == set(cells)
    return factors if fits else []
