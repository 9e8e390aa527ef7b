"""`assay report --history`: strategies, rejected ideas, looks and openings of a project as one page. Reads alone.

Covers: joining what tags say with the ledger of looks. Not covered: rows of experiments (`commands.log`), sections
(`page.history_sections`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from assay.commands import log
from assay.history import experiments, look_ledger
from assay.history.attempt_and_family_entries import OpeningEntry
from assay.history.look_ledger import Ledger
from assay.history.strategy_status import State, Strategy, fold
from assay.report.page import history_sections
from assay.report.page.chart_specs import Interval
from assay.report.page.history_sections import AcceptedStep, PartOpening, SpentAlpha
from assay.report.page.page_blocks import Page, PageArticle
from assay.runtime import project_root
from assay.stats import alpha_budget
from assay.tags.strategy_events import RecordedComparison

#: characters of a commit or an identity
SHORT = 12


def history(start: Path) -> Page:
    """The page. Raises UsageError outside of a project."""
    root = project_root.find(start).root
    rows = log.log(start, everything=True).rows
    repository = experiments.read(root, experiments=False)
    state, ledger = fold(repository.tags), look_ledger.read(root)
    names = {tag.commit: tag.name for tag in repository.tags if tag.name.startswith("strategy/")}
    steps = [_step(one) for one in state.strategies.values()]
    sections = [
        history_sections.chain_section(steps, [(tag.name, tag.problem) for tag in state.unverifiable]),
        history_sections.rejected_section(rows),
        history_sections.looks_section(_accounts(ledger, names), len(ledger.damaged)),
        history_sections.openings_section(_openings(ledger, state, names)),
        history_sections.experiments_section(rows),
    ]
    standing = sum(one.revoked is None for one in state.strategies.values())
    tried = sum(row.kind == "experiment" for row in rows)
    lead = f"strategies that stand: {standing}; rejected ideas: {len(state.rejected)}; experiments at hand: {tried}"
    return Page("History of strategies", lead, [PageArticle("h", "History", sections)])


def _step(one: Strategy) -> AcceptedStep:
    accepted = one.accepted
    return AcceptedStep(
        accepted.name,
        accepted.baseline,
        accepted.metric,
        accepted.metric_version,
        _interval(f"{accepted.name}, selected", accepted.selection, "baseline"),
        _interval(f"{accepted.name}, confirmed", accepted.confirmation, "candidate"),
        accepted.attempts,
        None if accepted.test is None else accepted.test.mean,
        " · ".join(accepted.changed),
        "accepted" if one.revoked is None else "revoked",
    )


def _interval(name: str, found: RecordedComparison, series: str) -> Interval | None:
    return None if found.delta is None else Interval(name, found.delta, found.ci_low, found.ci_high, series)


def _accounts(ledger: Ledger, names: Mapping[str, str]) -> list[SpentAlpha]:
    """One row for each idea against each baseline, by baseline, the dearest first."""
    found: dict[tuple[str, str], list[alpha_budget.LookEntry]] = defaultdict(list)
    for one in ledger.looks:
        found[one.baseline, one.identity].append(one)
    rows = [
        SpentAlpha(_named(baseline, names), identity[:SHORT], len(looks), sum(look.spends for look in looks))
        for (baseline, identity), looks in found.items()
    ]
    return sorted(rows, key=lambda row: (row.baseline, -row.spent, row.idea))


def _openings(ledger: Ledger, state: State, names: Mapping[str, str]) -> list[PartOpening]:
    scores = {name: one.accepted.test.mean for name, one in state.strategies.items() if one.accepted.test}
    entries = sorted(ledger.all(OpeningEntry), key=lambda one: (one.sequence, one.name))
    return [PartOpening(one.name, _named(one.baseline, names), one.n, scores.get(one.name)) for one in entries]


def _named(baseline: str, names: Mapping[str, str]) -> str:
    """A tag, a commit's beginning, `floor`, or `ablation on` and the beginning of a strategy's hash."""
    what, _, about = baseline.rpartition(" ")
    return names.get(baseline, f"{what} {about[:SHORT]}".strip())
