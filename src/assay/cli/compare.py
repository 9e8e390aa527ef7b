"""`assay compare`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from assay.judging.groups import DifferingRulers
from assay.report import comparison as report
from assay.report import family
from assay.report.family import FamilyLine
from assay.verbs import compare as verb
from assay.verbs.compare import Compared, Options
from assay.verbs.compare_family import FamilyMember, compare_family
from assay.words.errors import GateError

EPILOG = """Examples: assay compare strategy/adam HEAD --require progress;
assay compare base.csv a.csv b.csv c.csv --direction minimize;
assay compare before.csv after.csv --column loss --direction minimize"""


@click.command(epilog=EPILOG)
@click.argument("sides", metavar="[BASE] CAND...", nargs=-1, required=True)
@click.option("--column", default="", help="Column of the numbers; default: the metric that decides.")
@click.option("--direction", type=click.Choice(["maximize", "minimize"]), help="What is better; default: as recorded.")
@click.option("--test", type=click.Choice(["welch", "student", "paired", "permutation"]), default="welch")
@click.option("--alpha", default=0.05, show_default=True, help="Chance of a wrong verdict without a difference.")
@click.option("--min-effect", type=float, help="Smallest difference that matters; default: as recorded, else 0.")
@click.option("--worst", type=float, help="What a diverged replicate counts as; default: as recorded.")
@click.option("--fixed", type=float, help="Compare CAND with this number instead of runs.")
@click.option("--finished-only", is_flag=True, help="Leave out runs of a file that have not ended.")
@click.option("--target", type=float, help="Ask whether the mean of CAND reaches this number at p < 0.01.")
@click.option("--require", type=click.Choice(["progress", "no-regression"]), help="Leave with code 5 unless shown.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, for a pull request.")
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
def command(sides: tuple[str, ...], target: float | None, require: str | None, form: str | None, **given: Any) -> None:
    """Compare CAND with BASE: Git revisions, experiments, or CSV and JSON files of numbers.

    BASE defaults to what the record of CAND was measured against. Several CAND are one family: p is adjusted for all of
    them, and --require asks it of each. Reads and never writes.
    """
    options = Options(**{**given, "direction": given["direction"] or ""})
    if target is not None:
        _target(sides, options, target, require, form)
        return
    try:
        if len(sides) > 2:
            _family(compare_family(Path.cwd(), sides, options), require, form)
            return
        found = verb.compare(Path.cwd(), sides, options)
    except DifferingRulers as refused:
        if form == "json":
            _print_json(report.refusal_json(refused.fields, refused.mend))
        raise
    click.echo(_shown(found, form))
    met = {"progress": found.result.verdict == "progress", "no-regression": found.result.no_regression}
    if require and not met[require]:
        why = f": {found.result.reason}" if found.result.reason else ""
        raise GateError(f"{require} is required, and the verdict is {found.result.verdict}{why}")


def _family(found: list[FamilyMember], require: str | None, form: str | None) -> None:
    lines = [
        FamilyLine(
            one.alone.candidate,
            one.alone.baseline,
            one.alone.result,
            one.p_holm,
            one.verdict,
            one.alone.metric_version,
            one.alone.comparisons,
        )
        for one in found
    ]
    metric = found[0].alone.metric
    if form == "json":
        _print_json(family.as_json(lines, metric))
    else:
        click.echo(family.text(lines, metric, "pipe" if form == "markdown" else "simple"))
    for one in found if require else ():
        if not {"progress": one.verdict == "progress", "no-regression": one.no_regression}[str(require)]:
            raise GateError(f"{require} is required, and in the family {one.alone.candidate} is {one.verdict}")


def _shown(found: Compared, form: str | None) -> str:
    names = (found.baseline, found.candidate)
    if form == "json":
        flat = report.as_json(found.result, found.metric, names, found.metric_version, found.comparisons)
        examples = report.new_examples_json(found.examples) if found.examples else None
        return json.dumps({**flat, "new_examples": examples, "no_new_examples": found.no_examples})
    line = report.new_examples(found.examples, found.no_examples, report.decimals(found.result))
    if form == "markdown":
        return report.markdown(found.result, found.metric, names, found.metric_version, found.comparisons, line)
    return report.full(found.result, found.metric, found.baseline, found.metric_version, found.comparisons, line)


def _target(sides: tuple[str, ...], options: Options, goal: float, require: str | None, form: str | None) -> None:
    found, metric, direction = verb.target(Path.cwd(), sides, options, goal)
    if form == "json":
        _print_json({"schema": report.SCHEMA, "metric": metric, "direction": direction, **dataclasses.asdict(found)})
    else:
        click.echo(report.target_line(found, metric, direction))
    if require and not found.met:
        raise GateError(f"{require} is required, and the target {goal:g} is not shown to be reached")


def _print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content))
