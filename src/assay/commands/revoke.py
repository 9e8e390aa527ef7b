"""`assay revoke`: an accepted strategy that should not have been; nothing is deleted."""

from __future__ import annotations

from pathlib import Path

from assay.acceptance.write_tags import check_free, check_identity, check_why, write
from assay.baseline import baseline_param
from assay.history import name_lookup
from assay.history.experiments import read
from assay.history.strategy_status import State, Strategy, fold
from assay.runtime import project_root
from assay.runtime.commit_one_file import branch
from assay.tags.strategy_events import Revoked


def revoke(start: Path, name: str, why: str) -> tuple[Revoked, str]:
    """Write the tag `revoked/NAME`, then move the baseline back if it was this one.

    Returns the event and the commit that moved the baseline, "" when it stands elsewhere. Interrupted
    between the two, the same command finishes the job.
    """
    layout = project_root.find(start)
    reason = check_why(why)
    repository = read(layout.root, experiments=False)
    state = fold(repository.tags)
    strategy = name_lookup.strategy(state, name)
    moves = baseline_param.at(layout.root, "HEAD") == strategy.tag.name
    if moves:
        branch(layout.root)
    check_identity(layout.root)
    done = strategy.revoked.event if strategy.revoked is not None and moves else None
    event = done if isinstance(done, Revoked) else _event(state, strategy, reason)
    if event is not done:
        check_free(repository.refs, "revoked", strategy.accepted.name)
    if moves:
        baseline_param.plan(layout, event.baseline)
    if event is not done:
        write(layout.root, event, f"Revoke {strategy.tag.name}", reason)
    moved = f"Move the baseline back to {event.baseline}\n\n{strategy.tag.name} is revoked: {event.why}"
    return event, baseline_param.move(layout, event.baseline, moved) if moves else ""


def _event(state: State, strategy: Strategy, why: str) -> Revoked:
    return Revoked(
        name=strategy.accepted.name,
        sequence=state.sequence + 1,
        commit=strategy.tag.commit,
        why=why,
        strategy=strategy.tag.object,
        baseline=predecessor(state, strategy),
    )


def predecessor(state: State, strategy: Strategy) -> str:
    """The nearest baseline before `strategy` that is not revoked itself."""
    name = strategy.accepted.baseline
    seen = {strategy.tag.name}
    while name not in seen:
        seen.add(name)
        before = state.strategies.get(name.removeprefix("strategy/"))
        if before is None or before.revoked is None:
            return name
        name = before.accepted.baseline
    return "floor"
