"""`assay try`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.experiment_grid import Wanted
from assay.commands.try_idea import fidelity, try_idea, verdict_text
from assay.core import schemas, time_budget
from assay.report import comparison_text, try_text


@click.command(
    name="try", epilog=examples("assay try -S lr=3e-4 -m 'smaller steps'", "assay try --budget 20m  # your edits")
)
@click.option("-S", "--set-param", "settings", multiple=True, metavar="KEY=VALUE", help="A change of a parameter.")
@click.option("-m", "--message", "why", default="", help="Why: the message of the experiment's commit.")
@click.option("--budget", metavar="TIME", help="Begin no look that will not end within it: 90s, 20m, 1.5h.")
@click.option("--name", default="try", show_default=True, help="What the experiment's name begins with.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(settings: tuple[str, ...], why: str, budget: str | None, name: str, as_json: bool) -> None:
    """Measure an idea look by look, as `dvc exp run` would, and stop when it is decided or futile.

    The idea is your edits of tracked files and the settings; the work tree stays as it is. Looks are at judge.looks, or
    at 3, 5, 10 and 20 replicates. Price and smallest visible effect are said first. Stopped, the same command goes on.
    """
    seconds = None if budget is None else time_budget.parse(budget)
    wanted = Wanted.checked(name, None)
    found = try_idea(Path.cwd(), settings, why, seconds, partial(show, err=True), wanted.name)
    names, ruler = (found.experiment, found.against), (found.metric, found.metric_version)
    if as_json:
        flat = comparison_text.as_json(found.comparison, found.metric, (names[1], names[0]), found.metric_version, 0)
        del flat["comparisons"]  # the experiment's own record counts them
        own: dict[str, Any] = {"experiment": found.experiment, "settings": list(settings), "edited": found.idea.edited}
        own |= {"looks": list(found.idea.plan), "n": found.n, "ended": found.ended, "chance": found.chance}
        own |= {"fidelity": told} if (told := fidelity(found.idea)) else {}
        show_json(schemas.as_json({**flat, **own}))
    else:
        sizes = found.n, found.idea.plan[-1]
        show(try_text.text(found.comparison, names, ruler, sizes, found.ended, verdict_text(found.idea)))
        if told := fidelity(found.idea):
            show(told)
