"""`assay doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from assay.cli.printing import examples, show, show_json
from assay.commands.doctor import REQUIRED, Examined, doctor
from assay.commands.ladder import NEXT, Climbed, climb
from assay.core.errors import UsageError


@click.command(
    epilog=examples(
        "assay doctor", "assay doctor --require warning --json", "assay doctor --ladder --vary model.hidden"
    )
)
@click.option(
    "--require",
    type=click.Choice(list(REQUIRED)),
    default="error",
    show_default=True,
    help="Leave with exit code 5 from this level on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--ladder", is_flag=True, help="Train in four steps instead, up to the first that fails.")
@click.option("--vary", metavar="KEY", help="With --ladder: a number of params.yaml to try at a third and three times.")
def command(require: str, as_json: bool, ladder: bool, vary: str | None) -> int:
    """Say what can be proved wrong in the task's training code, in seconds and without training.

    Looks at model, loss, augmentation and the split examples; the test part stays closed, and nothing is changed.
    What a check could not look at is said with the reason: it is no pass.
    """
    if ladder:
        climbed = climb(Path.cwd(), vary or "")
        show_json(climbed.json()) if as_json else show(_steps(climbed))
        return climbed.exit_code
    if vary:
        raise UsageError("--vary is for the ladder", hint=f"assay doctor --ladder --vary {vary}")
    found = doctor(Path.cwd())
    if found.findings:
        show_json(json.dumps(found.report, indent=2)) if as_json else show(_text(found))
    return found.exit_code(require)


def _text(found: Examined) -> str:
    passed = sum(one["result"] == "pass" for one in found.findings)
    unseen = [one for one in found.findings if one["result"] in ("not applicable", "not run")]
    width = max((len(one["check"]) for one in found.findings), default=0)
    lines = [line for one in found.failed for line in _failure(one)]
    lines += [f"  {one['check']:<{width}}  {one['result']}: {one['reason']}" for one in unseen]
    count = len(found.failed)
    head = f"doctor: {count} finding{'' if count == 1 else 's'}, {passed} checks passed, {len(unseen)} could not look"
    return "\n".join([head, *lines])


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
