"""`assay search`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.search import SearchBudget, search
from assay.commands.search_finalists import FoundBest, RankedSetting
from assay.core import reported_key, schemas, time_budget
from assay.report import comparison_text, search_text
from assay.report.search_text import SearchLine


@click.command(epilog=examples("assay search --dry-run", "assay search wide --settings 128 --budget 8h"))
@click.argument("name", default="search")
@click.option("--settings", type=click.IntRange(2, 10_000), help="Settings to try; default: search.settings, or 64.")
@click.option("--budget", metavar="TIME", help="Begin nothing that will not end within it: 90s, 20m, 1.5h.")
@click.option("--trainings", type=click.IntRange(1), help="Trainings on search seeds in this call, at most.")
@click.option("--finalists", type=click.IntRange(0, 16), default=3, show_default=True, help="Settings to confirm.")
@click.option(
    "--sampler",
    type=click.Choice(["tpe", "sobol", "sobol-tpe"]),
    help="tpe: 16 random settings, then TPE; sobol: one Sobol sequence; sobol-tpe: 64 points of it, then TPE.  "
    "[default: what the search was begun with, else tpe]",
)
@click.option("--dry-run", is_flag=True, help="Say what is searched and what it costs; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    name: str,
    settings: int | None,
    budget: str | None,
    trainings: int | None,
    finalists: int,
    sampler: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Search the space under search: in params.yaml around HEAD, and confirm the best settings on fresh seeds.

    Every finished setting is recorded in Git at once (refs/assay/search/NAME): the same command goes on where it was
    stopped, on the same path. Only the confirmed estimate decides. The price is said first.
    """
    seconds = None if budget is None else time_budget.parse(budget)
    limits = SearchBudget(trainings, seconds, finalists)
    found = search(Path.cwd(), name, settings, sampler, limits, partial(show, err=True), dry_run)
    if found is None:
        return
    if as_json:
        show_json(schemas.as_json(_plain(found)))
    else:
        label = reported_key.label(found.metric, found.metric_version)
        counts = (found.tried, found.diverged, found.doubled)
        failed = found.confirmed.failed if found.confirmed else {}
        show(search_text.text(counts, found.ended, found.flat, _lines(found), label, failed))


def _lines(found: FoundBest) -> list[SearchLine]:
    """Every ranked setting with what fresh seeds say of it."""
    judged = {one.experiment: one for one in found.confirmed.tried} if found.confirmed else {}

    def line(one: RankedSetting) -> SearchLine:
        left = (search_text.label(one.setting), one.raw, one.n, one.shrunk, one.experiment)
        known = judged.get(one.experiment)
        return SearchLine(*left) if known is None else SearchLine(*left, known.alone, known.p_holm, known.verdict)

    return [line(one) for one in found.ranked]


def _plain(found: FoundBest) -> dict[str, Any]:
    """One object without infinities."""
    finalists = []
    for one, line in zip(found.ranked, _lines(found), strict=True):
        if line.experiment:
            names = (found.confirmed.baseline if found.confirmed else "", line.experiment)
            flat: dict[str, Any] = {}
            if line.confirmed is not None:
                flat = comparison_text.as_json(line.confirmed, found.metric, names, found.metric_version, 0)
                del flat["comparisons"]
            own = {"experiment": line.experiment, "number": one.number, "p_holm": line.p_holm, "verdict": line.verdict}
            finalists.append({**flat, **own})
    named = ("name", "metric", "metric_version", "direction", "tried", "diverged", "doubled", "ended", "flat")
    settings = [
        {"number": one.number, "values": one.setting, "raw": one.raw, "n": one.n, "shrunk": one.shrunk}
        for one in found.ranked
    ]
    failed = found.confirmed.failed if found.confirmed else {}
    head = {key: getattr(found, key) for key in named}
    return {"schema": 1, **head, "settings": settings, "finalists": finalists, "failed": failed}
