"""`assay accept`: from an experiment that looks good to a strategy whose gain was measured again.

Five steps, each a module of its own: admission, the tree, confirmation, the test part, landing. Everything before the
landing is a cache: killed anywhere, the same command goes on with what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from assay.acceptance.write_tags import check_why
from assay.commands import accept_confirmation, accept_eligibility, accept_landing, accept_tree
from assay.commands.accept_eligibility import AcceptOptions, ExperimentToAccept
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.history import name_lookup
from assay.history.experiments import read
from assay.history.strategy_status import fold
from assay.runtime import cache_dirs, dvc_yaml, project_root
from assay.runtime.file_locks import Lock
from assay.tags.strategy_events import Accepted, check_name

Say = Callable[[str], None]


def accept(
    start: Path,
    experiment: str,
    name: str,
    allow: Collection[str],
    why: str,
    dry_run: bool,
    say: Say,
    replicates: int | None = None,
) -> Accepted | None:
    """Accept `experiment` (or a branch) as `strategy/NAME`; its evidence, None for a dry run.

    `allow` sets rules aside (`equivalent`, `bundle`, `metric`) for the reason `why`. `replicates` is how many are
    trained an arm, None for as many as the attempt's level takes. Raises the refusals of
    `commands.accept_checks`, and GateError when fresh seeds do not confirm it.
    """
    layout = project_root.find(start)
    check_name(name)
    if allow:
        check_why(why)
    workshop = cache_dirs.made(dvc_yaml.store(layout.root).accept)
    cache_dirs.made(workshop.parent)  # for the lock
    cache_dirs.hold(workshop)
    lock = Lock.take(workshop, wait=False)
    if lock is None:
        raise UsageError("another `assay accept` is at work here", hint="wait for it, then run the command again")
    try:
        return _accept(layout, experiment, name, AcceptOptions(allow, why, replicates), dry_run, say)
    finally:
        lock.release()


def _accept(
    layout: ProjectPaths, wanted: str, name: str, options: AcceptOptions, dry_run: bool, say: Say
) -> Accepted | None:
    repository = read(layout.root)
    state = fold(repository.tags)
    tried = name_lookup.experiment(layout.root, repository, wanted)
    done = state.strategies.get(name)
    if done is not None and done.accepted.experiment_commit == tried.commit and not dry_run:
        accept_landing.finish(layout, done.accepted, say)
        return done.accepted
    return _steps(accept_eligibility.candidate(layout, repository, state, tried, name, options), dry_run, say)


def _steps(candidate: ExperimentToAccept, dry_run: bool, say: Say) -> Accepted | None:
    scratch, named = accept_eligibility.lay_out_tree(candidate)
    try:
        admitted = accept_eligibility.admit(candidate, scratch, named)
        if dry_run:
            accept_confirmation.announce(admitted, say)
            return None
        tree = accept_tree.regenerate(admitted, say)
        confirmed = accept_confirmation.confirm(tree, say)
        test = accept_confirmation.open_test_part(confirmed, say)
        return accept_landing.land(confirmed, test, say)
    finally:
        scratch.remove()
