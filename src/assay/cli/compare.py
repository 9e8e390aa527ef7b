"""`assay compare`."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from assay.cli.printing import examples, show, show_json
from assay.commands import compare as verb
from assay.commands import compare_many, compare_run_files
from assay.commands.compare import Compared
from assay.commands.compare_many import FamilyMember
from assay.commands.compare_options import Options
from assay.commands.compare_score_source import RECORDED
from assay.core import sanitize_output
from assay.core.errors import GateError, UsageError
from assay.report import comparison_text as report
from assay.report import family_table
from assay.stats.hypothesis_tests import Test
from assay.stats.strategy_replicates import DifferingRulers

EPILOG = examples(
    "assay compare strategy/adam HEAD --require progress",
    "assay compare base.csv a.csv b.csv c.csv --direction minimize",
    "assay compare before.csv after.csv --column loss --direction minimize",
    "assay compare 'base/*/metrics.json' 'wide/*/metrics.json' --column val.accuracy",
    "assay compare runs.csv --by optimizer",
)


@click.command(epilog=EPILOG)
@click.argument("sides", metavar="[BASE] CAND...", nargs=-1, required=True)
@click.option("--column", default="", help="Column of the numbers; default: the metric that decides.")
@click.option("--direction", type=click.Choice(["maximize", "minimize"]), help="What is better; default: as recorded.")
@click.option("--test", type=click.Choice([one for one in get_args(Test) if one != "resampled"]), default="welch")
@click.option(
    "--alpha", type=float, help="Chance of a wrong verdict without a difference; default: as looked at, else 0.05."
)
@click.option("--min-effect", type=float, help="Smallest difference that matters; default: as recorded, else 0.")
@click.option("--worst", type=float, help="What a diverged replicate counts as; default: as recorded.")
@click.option("--by", default="", metavar="COLUMN", help="Split one file into arms; the first value is BASE.")
@click.option("--fixed", type=float, help="Compare CAND with this number instead of runs.")
@click.option("--finished-only", is_flag=True, help="Leave out runs of a file that have not ended.")
@click.option("--target", type=float, help="Ask whether the mean of CAND reaches this number at p < 0.01.")
@click.option(
    "--rescore", is_flag=True, help="Compute the numbers from predictions: runs the metrics of this checkout."
)
@click.option("--require", type=click.Choice(["progress", "no-regression"]), help="Leave with code 5 unless shown.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, for a pull request.")
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
def command(
    sides: tuple[str, ...], by: str, target: float | None, require: str | None, form: str | None, **given: Any
) -> None:
    """Compare CAND with BASE: Git revisions, experiments, or CSV and JSON files of numbers.

    BASE defaults to what the record of CAND was measured against. Several CAND are one family: p is adjusted for all of
    them, and --require asks it of each. Reads and never writes; runs code of the project only where it ran on this
    machine before, or with --rescore.
    """
    if by:
        sides = _arms(sides, by)
    options = Options(**{**given, "direction": given["direction"] or ""})
    if target is not None:
        _target(sides, options, target, require, form)
        return
    try:
        if len(sides) > 2:
            _family(compare_many.compare_family(Path.cwd(), sides, options), require, form)
            return
        found = verb.compare(Path.cwd(), sides, options)
    except DifferingRulers as refused:
        if form == "json":
            _print_json(report.refusal_json(refused.fields, refused.hint))
        raise
    (show_json if form == "json" else show)(_shown(found, form))
    if require and found.off_account:
        raise GateError(found.off_account, hint="dvc exp run, which records its look, then compare that")
    met = {"progress": found.result.verdict == "progress", "no-regression": found.result.no_regression}
    if require and not met[require]:
        why = f": {found.result.reason}" if found.result.reason else ""
        raise GateError(f"{require} is required, and the verdict is {found.result.verdict}{why}")
    if require:
        _check_computed(found.origins)


def _arms(sides: tuple[str, ...], by: str) -> tuple[str, ...]:
    if len(sides) != 1:
        raise UsageError(f"--by splits one file, and {len(sides)} sides are named", allowed="one file")
    return tuple(compare_run_files.arms(sides[0], by))


def _check_computed(origins: Mapping[str, str]) -> None:
    """A gate believes no number that only stands in a record: results can be edited, and dvc.lock made to fit."""
    recorded = [side for side, origin in origins.items() if origin == RECORDED]
    if recorded:
        raise GateError(
            f"the numbers of {' and '.join(recorded)} were computed neither in this call nor by an evaluate here",
            hint=_typed("--rescore"),
        )


def _typed(added: str) -> str:
    """This command as it was typed, with one more option."""
    context = click.get_current_context()
    words = ["assay", "compare", *context.params["sides"], added]
    for option in context.command.params:
        name = option.name or ""
        if isinstance(option, click.Option) and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            value = context.params[name]
            if not (option.is_flag and value not in (True, option.flag_value)):
                words += [option.opts[0]] if option.is_flag else [option.opts[0], str(value)]
    return shlex.join(words)


def _family(found: list[FamilyMember], require: str | None, form: str | None) -> None:
    lines, metric = compare_many.lines(found), found[0].alone.metric
    if form == "json":
        _print_json(family_table.as_json(lines, metric))
    else:
        show(family_table.text(lines, metric, "pipe" if form == "markdown" else "simple"))
    for one in found if require else ():
        if one.alone.off_account:
            raise GateError(one.alone.off_account, hint="dvc exp run, which records its look, then compare that")
        if not {"progress": one.verdict == "progress", "no-regression": one.no_regression}[str(require)]:
            raise GateError(f"{require} is required, and in the family {one.alone.candidate} is {one.verdict}")
        _check_computed(one.alone.origins)


def _shown(found: Compared, form: str | None) -> str:
    names = (found.baseline, found.candidate)
    if form == "json":
        flat = report.as_json(found.result, found.metric, names, found.metric_version, found.comparisons)
        examples = report.new_examples_json(found.examples) if found.examples else None
        more = {"new_examples": examples, "no_new_examples": found.no_examples, "origins": dict(found.origins)}
        return json.dumps({**flat, **more, "off_account": found.off_account})
    line = report.new_examples(found.examples, found.no_examples, report.decimals(found.result))
    version, earlier, origins = found.metric_version, found.comparisons, found.origins
    reached = report.reach(found.result, found.examples)
    if form == "markdown":
        text = report.markdown(found.result, found.metric, names, version, earlier, line, origins, reached)
        return f"{text}\n- {sanitize_output.markdown(found.off_account)}" if found.off_account else text
    text = report.full(found.result, found.metric, found.baseline, version, earlier, line, origins, reached)
    return f"{text}\n{'':11}{found.off_account}" if found.off_account else text


def _target(sides: tuple[str, ...], options: Options, goal: float, require: str | None, form: str | None) -> None:
    found = verb.target(Path.cwd(), sides, options, goal)
    if form == "json":
        said = {"metric": found.metric, "direction": found.direction, "origins": dict(found.origins)}
        _print_json({"schema": report.SCHEMA, **said, **dataclasses.asdict(found.target)})
    else:
        show(report.target_line(found.target, found.metric, found.direction, found.origins))
    if require and not found.target.met:
        raise GateError(f"{require} is required, and the target {goal:g} is not shown to be reached")
    if require:
        _check_computed(found.origins)


def _print_json(content: dict[str, Any]) -> None:
    show_json(json.dumps(content))
