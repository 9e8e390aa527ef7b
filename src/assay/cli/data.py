"""`assay data`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from assay.cli.printing import examples, show, show_json
from assay.commands.data import RULES, data
from assay.core.schemas import encode
from assay.report import data_text


@click.command(
    epilog=examples("assay data", "assay data --json --most 1000 | jq -r '.suspects[] | [.id, .suggested] | @tsv'"),
    context_settings={"show_default": True},
)
@click.option("--most", type=click.IntRange(1, 1_000_000), default=10, help="Entries of each list.")
@click.option("--rule", type=click.Choice(RULES), default=RULES[0], help="Which rule suspects labels.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(most: int, rule: str, as_json: bool) -> None:
    """Look at the data: balance, ranges, drift between parts, sizes, outliers, near duplicates, suspected labels.

    Labels of the sealed test part are not looked at. Nothing is changed: what is found is yours to judge.
    """
    say = partial(show, err=True)
    found = data(Path.cwd(), most, rule, lambda what: say(f"looking at {what} …"))
    if as_json:
        show_json(encode(found))
        return
    for line in data_text.lines(msgspec.to_builtins(found), most):
        show(line)
