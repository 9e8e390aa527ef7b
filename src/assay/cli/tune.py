"""`assay tune`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.experiment_grid import Wanted
from assay.commands.tune import Tuned, tune
from assay.core import reported_key, schemas
from assay.core.params_yaml import SPAN
from assay.report import comparison_text, tuning_text


@click.command(epilog=examples("assay tune lr=1e-3,3e-3,1e-2", "assay tune lr=1e-3,3e-3,1e-2 wavy-pita --dry-run"))
@click.argument("words", metavar="KEY=VALUE,VALUE... [CAND]", nargs=-1, required=True)
@click.option("--name", default="tune", show_default=True, help="What the experiments' names begin with.")
@click.option("--replicates", type=click.IntRange(2, SPAN), help="Fresh replicates an arm; default: what finds +2 sd.")
@click.option("--dry-run", is_flag=True, help="Say what would be measured and what it costs; train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(words: tuple[str, ...], name: str, replicates: int | None, dry_run: bool, as_json: bool) -> None:
    """Tune a candidate as its baseline is tuned: at its best value against the baseline at every value.

    CAND is an experiment, a local branch or a full commit; without it, your edits. Its value is chosen on search seeds
    and judged on fresh ones. Progress only where it beats the baseline at all values. Price is said first.
    """
    grid, candidate = [word for word in words if "=" in word], [word for word in words if "=" not in word]
    if len(candidate) > 1:
        raise click.UsageError(f"two candidates: {' and '.join(candidate)}; give one")
    wanted = Wanted.checked(name, replicates)
    who = candidate[0] if candidate else None
    found = tune(Path.cwd(), grid, who, partial(show, err=True), wanted.name, replicates, dry_run)
    if found is None:
        return
    if as_json:
        show_json(schemas.as_json(_plain(found)))
    else:
        for what, why in found.failed.items():
            show(f"{what}: {why}")
        metric = reported_key.label(found.metric, found.metric_version)
        names, values = (found.who, found.baseline), (found.chosen, found.best)
        show(tuning_text.text(found.verdict, metric, names, values, found.search, found.edges, found.experiment))


def _plain(found: Tuned) -> dict[str, Any]:
    """One object without infinities."""
    rivals = []
    for one in found.verdict.rivals:
        names = (f"{found.baseline} at {one.name}", found.experiment)
        flat = comparison_text.as_json(one.comparison, found.metric, names, found.metric_version, 0)
        del flat["comparisons"]
        rivals.append({"value": one.name, **flat})
    named = ("experiment", "who", "baseline", "metric", "metric_version", "direction", "chosen", "best", "n", "level")
    head = {name: getattr(found, name) for name in named}
    search = {value: {"mean": mean, "n": n} for value, (mean, n) in found.search.items()}
    more = {"verdict": found.verdict.verdict, "edges": found.edges, "failed": found.failed}
    return {"schema": 1, **head, **more, "search": search, "rivals": rivals}
