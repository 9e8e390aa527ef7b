"""Landing, the last step of `assay accept`: commit, tag and baseline at once, then the work tree follows.

Not covered: the transaction (`acceptance.acceptance_transaction`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata

from assay.acceptance import acceptance_transaction, earlier_attempts, update_dvc_outputs, update_work_tree
from assay.acceptance.acceptance_transaction import Message
from assay.commands import accept_checks, accept_eligibility
from assay.commands.accept_confirmation import Confirmed, OpenedTestPart
from assay.core import params_yaml, sanitize_output, schemas
from assay.core.metric_version import metric_name
from assay.core.paths import ProjectPaths
from assay.core.schemas import Environment
from assay.history import look_ledger, metrics_json
from assay.runtime import dvc_yaml, files
from assay.tags.strategy_events import CONTRACT, Accepted, Score, tag_of

Say = Callable[[str], None]


def land(found: Confirmed, test: OpenedTestPart | None, say: Say) -> Accepted:
    """Write it all, then let the work tree follow."""
    wanted = found.tree.admitted.candidate
    layout, head, tried = wanted.layout, wanted.head, wanted.tried
    accept_checks.check_edits(layout, tried)  # it may be hours since
    event, final = (
        _event(found, test.score if test else None),
        accept_eligibility.with_rows(layout, found.tree.tree, found.rows),
    )
    accept_checks.check_way(layout, head, final, tried.commit)
    title = f"Accept {wanted.name}" + (f": {', '.join(event.changed)}" if event.changed else "")
    brought = replace(wanted.merge, tree=final)
    text = "\n".join([found.text, *(test.said if test else ()), *_why(wanted.tried.why)])
    done = acceptance_transaction.land(layout, head, brought, event, Message(title, text))
    outs = update_dvc_outputs.outdated(layout, head, "HEAD", tried.commit)
    if kept := update_work_tree.follow(layout, head, tried.commit):
        say(f"the work tree stays as it is, since {kept[0]} was edited meanwhile; next: run the command again")
    else:
        _check_out(layout, outs, say)
    return done


def _why(reason: str) -> list[str]:
    """What the experiment was run for, as the last paragraph of the message."""
    return ["", f"why: {sanitize_output.line(reason)}"] if reason else []


def finish(layout: ProjectPaths, event: Accepted, say: Say) -> None:
    """What a killed command left undone, if there is anything."""
    outs = acceptance_transaction.finish(layout, event)
    if outs is None:
        say(f"{tag_of(event)} is accepted")
        return
    say("finished what was interrupted")
    _check_out(layout, outs, say)


def _event(found: Confirmed, test: Score | None) -> Accepted:
    tree, attempt = found.tree, found.attempt
    admitted, wanted = tree.admitted, tree.admitted.candidate
    scratch, allow = admitted.scratch.layout, wanted.options.allow
    where = scratch.machine if scratch.machine.is_file() else scratch.environment
    environment = schemas.decode(files.read_bytes(where), Environment, "environment")
    ledger = look_ledger.read(wanted.layout.root)
    return Accepted(
        name=wanted.name,
        sequence=max(attempt.entry.sequence, wanted.state.sequence + 1),
        commit="",  # known when it is made
        metric=metric_name(tree.version),
        metric_version=tree.version,
        profile=metrics_json.text(tree.metrics, "profile"),
        baseline=admitted.named.name,
        baseline_commit=admitted.named.commit,
        experiment=wanted.tried.name,
        experiment_commit=wanted.tried.commit,
        changed=admitted.changed,
        selection=tree.selection,
        confirmation=found.comparison,
        attempts=attempt.entry.attempt,
        seeds=attempt.seeds,
        environment=environment.key,
        test=test,
        openings=earlier_attempts.openings(wanted.state, ledger, attempt.entry.sequence),
        allowed=f"{', '.join(sorted(allow))}: {wanted.options.why}" if allow else "",
        contract=CONTRACT,
        library=metadata.version("dvc-assay"),
        fingerprint=environment.library,
        why=wanted.tried.why or None,
        parameters=params_yaml.lines(params_yaml.resolved(dvc_yaml.parameters(scratch.root))),
    )


def _check_out(layout: ProjectPaths, outs: Sequence[str], say: Say) -> None:
    """Bring what DVC keeps, where the landing changed it, and say what stays as it was."""
    for out in update_dvc_outputs.check_out(layout, list(outs)):
        hint = f"dvc pull {out}, or keep a copy of it and dvc checkout --force {out}"
        say(f"{out} stays as it is, since DVC does not keep what it holds or what the strategy brings; next: {hint}")
