"""`assay doctor` and `assay doctor run`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.doctor import REQUIRED, Examined, doctor
from assay.commands.doctor_ladder import NEXT, Climbed, climb
from assay.commands.watch_script import watch_script
from assay.core.errors import Exit, UsageError

#: checks with the same reason that share a line
MANY = 4
_level = click.Choice(list(REQUIRED))


@click.group(
    epilog=examples(
        "assay doctor",
        "assay doctor --require warning --json",
        "assay doctor --ladder --vary model.hidden",
        "assay doctor run train.py --lr 0.1",
    ),
    invoke_without_command=True,
)
@click.option(
    "--require", type=_level, default="error", show_default=True, help="Leave with exit code 5 from this level on."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--ladder", is_flag=True, help="Train in four steps instead, up to the first that fails.")
@click.option("--vary", metavar="KEY", help="With --ladder: a number of params.yaml to try at a third and three times.")
@click.pass_context
def command(context: click.Context, require: str, as_json: bool, ladder: bool, vary: str | None) -> int:
    """Say what can be proved wrong in the task's training code, in seconds and without training.

    Looks at model, loss, augmentation and the split examples; the test part stays closed, and nothing is changed.
    What a check could not look at is said with the reason: it is no pass.
    """
    if context.invoked_subcommand is not None:
        return int(Exit.DONE)
    if ladder:
        climbed = climb(Path.cwd(), vary or "")
        show_json(climbed.json()) if as_json else show(_steps(climbed))
        return climbed.exit_code
    if vary:
        raise UsageError("--vary is for the ladder", hint=f"assay doctor --ladder --vary {vary}")
    found = doctor(Path.cwd())
    _print(found, as_json)
    return found.exit_code(require)


@command.command(
    epilog=examples(
        "assay doctor run train.py --lr 0.1",
        "assay doctor run --require warning -m pkg.train --lr 0.1",
        "assay doctor run --twice train.py",
    ),
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--require", type=_level, help="Leave with exit code 5 from this level on; default: error.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; what the script prints goes to stderr.")
@click.option("--twice", is_flag=True, help="Run the first steps once more before, and say where the two runs differ.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[-m] SCRIPT [ARGUMENT]...")
@click.pass_context
def run(context: click.Context, require: str | None, as_json: bool, twice: bool, words: tuple[str, ...]) -> int:
    """Run a training script as `python` would, watch its loop, and say at the end what is wrong in it.

    The script needs no edit, and its weights are bit for bit those of a run without the doctor. It runs by the
    interpreter that runs Assay, in this folder. Its own exit code, where it is not 0, is that of this command.
    """
    above = context.parent.params if context.parent is not None else {}
    as_json = as_json or bool(above.get("as_json"))
    seen = watch_script(words, output_to_stderr=as_json, twice=twice)
    _print(seen.examined, as_json)
    return seen.exit_code(require or str(above.get("require", "error")))


def _print(found: Examined, as_json: bool) -> None:
    if found.findings:
        show_json(json.dumps(found.report, indent=2)) if as_json else show(_text(found))


def _text(found: Examined) -> str:
    passed = sum(one["result"] == "pass" for one in found.findings)
    unseen = [one for one in found.findings if one["result"] in ("not applicable", "not run")]
    width = max((len(one["check"]) for one in found.findings), default=0)
    lines = [line for one in found.failed for line in _failure(one)]
    lines += _unseen(unseen, width)
    count = len(found.failed)
    head = f"doctor: {count} finding{'' if count == 1 else 's'}, {passed} checks passed, {len(unseen)} could not look"
    return "\n".join([head, *lines])


def _unseen(found: list[dict[str, Any]], width: int) -> Iterator[str]:
    """A line for each check that could not look; one line for many that share their reason."""
    reasons = Counter((one["result"], one["reason"]) for one in found)
    for one in found:
        if reasons[one["result"], one["reason"]] < MANY:
            yield f"  {one['check']:<{width}}  {one['result']}: {one['reason']}"
    for (result, reason), count in reasons.items():
        if count >= MANY:
            yield f"  {count} checks  {result}: {reason}"


def _steps(climbed: Climbed) -> str:
    lines = []
    for number, one in enumerate(climbed.steps):
        said = one["reason"] or f"{one['measured']} (allowed {one['threshold']})"
        lines.append(f"{max(number, 1)}. {one['result']:<4}  {one['step']}: {said}")
    return "\n".join([*lines, *([] if climbed.failed or climbed.code else [f"4. next: {NEXT}"])])


def _failure(one: dict[str, Any]) -> list[str]:
    where = f" at {', '.join(one['places'])}" if one["places"] else ""
    measured = f" (measured {one['measured']}; allowed {one['threshold']})" if one["measured"] else ""
    return [
        f"! {one['level']} {one['check']}{where}",
        f"    {one['reason']}{measured}",
        f"    next: {one['next_step']}",
    ]
