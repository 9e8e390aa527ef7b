"""What `assay accept` refuses before any time is spent.

Covers: names, identity, branch, edits that nobody recorded, verdict, profile, baseline, bundles. Not
covered: the confirmation. Every refusal is one sentence with the next command.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from assay.acceptance import name_conflicts, update_dvc_outputs, update_work_tree
from assay.acceptance.write_tags import check_free, check_identity
from assay.baseline import accepted_strategy, baseline_param
from assay.baseline.accepted_strategy import FLOOR
from assay.changes import strategy_content
from assay.core import params_yaml, reported_key
from assay.core.errors import IncomparableError, ProvenanceError, UsageError
from assay.core.paths import ProjectPaths
from assay.history import metrics_json
from assay.history.experiments import Experiment, Repository
from assay.history.single_change_experiments import PROFILE, ablation, measured_alone
from assay.history.strategy_status import State
from assay.runtime import dvc_yaml, git
from assay.runtime.commit_one_file import branch
from assay.runtime.dvc_yaml import Run
from assay.runtime.git_commit_hint import commit_command
from assay.tags.strategy_events import NO_EVIDENCE, UnverifiableError

#: rules that may be set aside with a reason
ALLOWANCES = ("equivalent", "bundle", "metric")
METRIC = "metric"
#: what `--first` allows: a starting point that claims no gain
FIRST = "first"


def check_repository(layout: ProjectPaths, repository: Repository, name: str) -> None:
    """A free name, a known author, a branch to land on, an index that can be written."""
    check_free(repository.refs, "strategy", name)
    if there := name_conflicts.branch(layout.root, f"strategy/{name}"):
        raise UsageError(
            f"{there} has a strategy/{name} that is not here", hint="git fetch --tags, or choose another name"
        )
    check_identity(layout.root)
    branch(layout.root)
    lock = Path(git.run(layout.root, "rev-parse", "--absolute-git-dir")) / "index.lock"
    if lock.exists():
        raise UsageError(f"{lock} is held by another Git command, or was left by a killed one", hint=f"rm '{lock}'")


def check_edits(layout: ProjectPaths, tried: Experiment) -> None:
    """Nothing in the work tree that is in neither HEAD nor the experiment."""
    edited = update_work_tree.foreign(layout.root, "HEAD", tried.commit)
    if edited:
        raise ProvenanceError(
            f"{', '.join(edited[:3])} {'is' if len(edited) == 1 else 'are'} edited, in neither HEAD nor {tried.name}",
            hint=_put_aside(layout.root, edited),
        )
    task = params_yaml.load(dvc_yaml.parameters(layout.root)).task.name
    if untracked := strategy_content.untracked(layout.root, task):
        hint = f"{commit_command(layout.root, untracked)}, then dvc exp run"
        raise ProvenanceError(f"{untracked[0]} is imported but Git does not track it", hint=hint)


def _put_aside(root: Path, edited: Sequence[str]) -> str:
    """What brings these edits into view, out of the way, or into a commit."""
    top, hidden = git.top(root), set(git.hidden(root))
    for path in edited:
        if path in hidden:
            return f"git update-index --no-assume-unchanged '{path}' && git update-index --no-skip-worktree '{path}'"
        if (top / path).is_dir():
            return f"git -C '{path}' stash, or commit in that submodule and git add '{path}'"
    return "git stash, or run the experiment with these edits: dvc exp run"


def check_way(layout: ProjectPaths, head: str, new: str, experiment: str) -> None:
    """Nothing untracked, and no data of the user's, stands where the tree `new` brings something."""
    in_the_way = update_work_tree.overwritten(layout.root, head, new, experiment)
    if in_the_way:
        raise UsageError(
            f"{in_the_way[0]} is not tracked and would be overwritten", hint=f"mv '{in_the_way[0]}' elsewhere"
        )
    update_dvc_outputs.check(layout, head, new, experiment)


def check_numbers(tried: Experiment, metrics: dict[str, object], allow: Collection[str]) -> None:
    """A verdict of progress under the full profile."""
    verdict, profile = metrics_json.text(metrics, "verdict"), metrics_json.text(metrics, "profile")
    if not verdict:
        raise UsageError(f"{tried.name} has no verdict", allowed="progress", hint="dvc exp run")
    if profile != PROFILE:
        raise IncomparableError(
            f"{tried.name} was measured under profile {profile}",
            allowed=PROFILE,
            hint=f"dvc exp run -S profile={PROFILE}",
        )
    version = metrics_json.text(metrics, "metric_version")
    if reported_key.is_unproven(version) and METRIC not in allow:
        raise IncomparableError(
            f"{tried.name} reports its number, whose ruler is unproven: task.ruler names no file that computes it",
            allowed="a number with a ruler",
            hint="name its files under task.ruler and dvc exp run, or --allow metric --why REASON",
        )
    if FIRST in allow:
        _check_first(tried, metrics)
        return
    good = {"progress", *({"equivalent"} & set(allow))}
    if verdict not in good:
        hint = "--allow equivalent --why REASON, for a simplification" if verdict == "equivalent" else "assay log --all"
        if verdict == "inconclusive" and metrics_json.number(metrics, "baseline") is None:
            hint = "--first --why REASON, for a starting point; or judge.floor: VALUE in params.yaml, then dvc exp run"
        raise IncomparableError(f"the verdict of {tried.name} is {verdict}", allowed=", ".join(sorted(good)), hint=hint)


def _check_first(tried: Experiment, metrics: dict[str, object]) -> None:
    """A starting point is what nothing was compared with."""
    if metrics_json.number(metrics, "baseline") is not None or metrics_json.text(metrics, "verdict") != "inconclusive":
        raise IncomparableError(
            f"{tried.name} was compared, with verdict {metrics_json.text(metrics, 'verdict')}",
            allowed="--first where there is nothing to compare with",
            hint="the same command without --first",
        )


def check_version(tried: Experiment, today: str) -> None:
    """The experiment's metric version is the one of today's ruler."""
    then = metrics_json.text(tried.metrics, "metric_version")
    if then and then != today:
        raise IncomparableError(
            f"{tried.name} was measured under {then}, today's metric version is {today}",
            hint="dvc exp run, then accept that",
        )


def baseline(layout: ProjectPaths, state: State, tried: Experiment, commit: str) -> accepted_strategy.AcceptedStrategy:
    """The baseline that `commit` is compared with: the one of HEAD, verified and standing."""
    name, wanted = baseline_param.at(layout.root, "HEAD"), baseline_param.at(layout.root, commit)
    if name != wanted:
        raise IncomparableError(
            f"{tried.name} was measured against {wanted}, the baseline is {name}", hint="dvc exp run, then accept that"
        )
    for tag in state.unverifiable:
        if tag.name == name and tag.problem != NO_EVIDENCE:  # edited, or moved to another commit
            raise UnverifiableError(name, tag.problem)
    strategy = state.strategies.get(name.removeprefix("strategy/"))
    if strategy is not None and strategy.revoked is not None:
        raise IncomparableError(
            f"the baseline {name} is revoked", hint=f'assay revoke {name} --why "move the baseline"'
        )
    return accepted_strategy.resolve(Run(layout, layout.root, ""), name)


def check_bundle(
    layout: ProjectPaths,
    repository: Repository,
    named: accepted_strategy.AcceptedStrategy,
    version: str,
    allow: Collection[str],
) -> list[str]:
    """Changes against the baseline; more than one needs each to have been measured alone."""
    if named.name == FLOOR:
        return []
    before = strategy_content.in_commit(layout.root, named.commit, PROFILE)
    after = strategy_content.in_work_tree(layout.root, PROFILE)
    found = after.since(before)
    if not found.count:
        raise IncomparableError(f"nothing differs from {named.name}", hint="dvc exp run -S lr=…")
    if found.bundled and "bundle" not in allow:
        alone = measured_alone(layout.root, repository.experiments, version, before, after)
        missing = [part for part in found.parts if part not in alone]
        if missing:
            raise IncomparableError(
                f"{found.count} changes at once against {named.name}, not measured alone: {'; '.join(missing)}",
                hint=f"{ablation(found)}, or --allow bundle --why REASON",
            )
    return found.parts
