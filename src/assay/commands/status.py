"""`assay status`: what is clean, stale, unproven or left over, and the command that mends it.

Reads params.yaml, results, dvc.lock and Git; never starts DVC and changes nothing. Each finding is one
line; a line that names something wrong ends with its mend. Not covered: printing (`report.status_text`).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from shlex import quote

from assay.baseline import baseline_param
from assay.changes import baseline_diff, dvc_lock_diff
from assay.commands import status_ledger, status_library
from assay.core import params_yaml, schemas
from assay.core.errors import AssayError
from assay.core.metric_version import metric_name
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Environment, Part
from assay.history import detached_head, killed_run_leftovers, metrics_json, work_tree_status
from assay.history.experiments import Experiment, Repository, parse_metrics, read
from assay.history.strategy_status import State, fold
from assay.history.work_tree_status import WorkTree
from assay.report.json_rows import Status, StatusLine
from assay.runtime import dvc_yaml, environment, files, git, project_root, source_analysis_cache
from assay.runtime.git_commit_hint import commit_command, named
from assay.strategies import name_conflicts


def status(start: Path) -> Status:
    """All findings about the project at `start`."""
    layout = project_root.find(start)
    source_analysis_cache.load(dvc_yaml.store(layout.root).sources)
    repository = read(layout.root, stamps=False)
    tree = work_tree_status.read(layout.root)
    state = fold(repository.tags)
    equal = work_tree_status.equal_experiment(layout.root, repository.experiments)
    landed = _landed(layout, state)
    lines = [
        *_with_parameters(layout, state, landed),
        *_verdict(layout, equal),
        *_work_tree(layout, tree, equal, landed),
        *_leftovers(layout, tree, repository),
        *_unproven(repository, state),
        *_unpushed(layout, tree, repository),
        *status_ledger.lines(layout.root, state),
        *status_library.programs(),
    ]
    return Status(healthy=all(line.healthy for line in lines), lines=lines)


def _landed(layout: ProjectPaths, state: State) -> bool:
    """Whether the results at hand are those with which the baseline was accepted: they compare it with the one before,
    and until the next run that is as it should be.
    """
    try:
        name = baseline_param.baseline(files.read_bytes(layout.params))
    except AssayError:
        return False
    strategy = state.strategies.get(name.removeprefix("strategy/"))
    return strategy is not None and not git.edited(layout.root, strategy.tag.commit, "dvc.lock", "results")


def _with_parameters(layout: ProjectPaths, state: State, landed: bool) -> Iterator[StatusLine]:
    """What needs a readable params.yaml: baseline, difference, freshness, untracked sources."""
    try:
        asked = params_yaml.load(dvc_yaml.parameters(layout.root))
    except AssayError as error:
        yield StatusLine(topic="parameters", text=error.problem, mend=error.mend or "git diff params.yaml")
        return
    yield from _baseline(layout, asked, state)
    if not landed:
        yield from _fresh(layout, asked)
        yield from status_library.upgraded(layout, asked)
    if untracked := baseline_diff.untracked(layout, asked.task.name):
        text = f"{named(untracked)} imported, but not tracked by Git"
        yield StatusLine(topic="code", text=text, mend=commit_command(layout.root, untracked))


def _baseline(layout: ProjectPaths, params: Params, state: State) -> Iterator[StatusLine]:
    name = params.baseline
    if name == "floor":
        newest = state.current
        mend = f"set baseline: {newest.tag.name} in params.yaml" if newest else ""
        yield StatusLine(topic="baseline", text="floor: nothing is accepted" if not mend else "floor", mend=mend)
        return
    commit = git.resolve(layout.root, f"refs/tags/{name}") or git.resolve(layout.root, name)
    if commit is None:
        shallow = git.run(layout.root, "rev-parse", "--is-shallow-repository", check=False) == "true"
        mend = "git fetch --unshallow --tags" if shallow else "git fetch --tags"
        yield StatusLine(topic="baseline", text=f"{name} is not in this repository", mend=mend)
        return
    yield _evidence(name, state, params)
    yield _difference(layout, name, commit)


def _evidence(name: str, state: State, params: Params) -> StatusLine:
    strategy = state.strategies.get(name.removeprefix("strategy/"))
    bad = next((tag for tag in state.unverifiable if tag.name == name), None)
    if bad is not None:
        return StatusLine(
            topic="baseline", text=f"{name} is not verifiable: {bad.problem}", mend=f"git show {quote(name)}"
        )
    if strategy is None:
        return StatusLine(topic="baseline", text=f"{name}, which is no accepted strategy")
    accepted = strategy.accepted
    if strategy.revoked is not None:
        mend = f'assay revoke {accepted.name} --why "finish moving the baseline"'
        return StatusLine(topic="baseline", text=f"{name} is revoked", mend=mend)
    days = _days((strategy.drawn or strategy.tag).stamp.date)
    score = accepted.confirmation.candidate
    text = f"{name} · {accepted.metric} {_number(score.mean)} ±{_number(score.sd)} (n={score.n})"
    text += f" · accepted {strategy.tag.stamp.date} by {strategy.tag.stamp.author}"
    most = params.judge.baseline_max_age
    if most is not None and days > most:
        text += f", {days} days ago; baseline_max_age is {most:g}"
        return StatusLine(topic="baseline", text=text, mend="assay rebaseline")
    return StatusLine(topic="baseline", text=text)


def _days(day: str) -> int:
    return (date.today() - date.fromisoformat(day)).days if day else 0


def _difference(layout: ProjectPaths, name: str, commit: str) -> StatusLine:
    try:
        found = baseline_diff.differences(layout, commit)
    except AssayError as error:
        return StatusLine(topic="difference", text=error.problem, mend=error.mend or "dvc exp run")
    if len(found) > 1:
        together = f"{len(found)} changes against {name} at once: {'; '.join(found)}"
        return StatusLine(
            topic="difference", text=together, mend=f"assay ablate {baseline_diff.settings(found)}".rstrip()
        )
    return StatusLine(topic="difference", text=found[0] if found else f"the same strategy as {name}")


def _fresh(layout: ProjectPaths, params: Params) -> Iterator[StatusLine]:
    """The measured baseline against today's environment, profile and data. Which packages count the last run knew."""
    path, topic = layout.record("baseline"), "baseline"
    if params.baseline == "floor" or not path.is_file():
        return
    try:
        arm = schemas.decode(path.read_bytes(), Arm, str(path), "dvc exp run")
        known = schemas.decode(files.read_bytes(layout.environment), Environment, str(layout.environment))
        today = environment.find(params.machine.device, known.packages, status_library.training(layout, params))
    except AssayError as error:
        yield StatusLine(topic=topic, text=error.problem, mend="dvc exp run")
        return
    measured = arm.measurement
    reasons = []
    if arm.name != params.baseline:
        reasons.append(f"the last run measured {arm.name}")
    if measured is not None and measured.profile != params.profile:
        reasons.append(f"it was measured under profile {measured.profile}")
    if arm.environment.key != today.key:
        reasons.append(f"it was measured under {arm.environment.key}, today is {today.key}")
    if measured is not None and arm.evaluated != _validation(layout):
        reasons.append("the validation examples are others")
    if reasons:
        yield StatusLine(topic=topic, text=f"{params.baseline} is stale: {'; '.join(reasons)}", mend="dvc exp run")


def _validation(layout: ProjectPaths) -> str:
    """Content hash of today's validation part, "" where it cannot be read."""
    path = layout.part("validation") / "manifest.json"  # `data.examples` would bring NumPy along
    try:
        return schemas.decode(files.read_bytes(path), Part, str(path)).content
    except AssayError:
        return ""


def _verdict(layout: ProjectPaths, equal: Experiment | None) -> Iterator[StatusLine]:
    if not layout.metrics.is_file():
        yield StatusLine(topic="verdict", text="no results in the work tree", mend="dvc exp run")
        return
    metrics, problem = parse_metrics(layout.metrics.read_bytes())
    comparison = metrics_json.comparison(metrics)
    if comparison is None:
        text = f"the results have no verdict: {problem}" if problem else "the results have no verdict"
        yield StatusLine(topic="verdict", text=text, mend="dvc exp run")
        return
    version = metrics_json.text(metrics, "metric_version")
    score = comparison.candidate
    named = f"{comparison.verdict} · {metric_name(version)}"
    text = f"{named} {_number(score.mean)} ±{_number(score.sd)} (n={score.n})"
    if comparison.delta is not None and comparison.ci_low is not None and comparison.ci_high is not None:
        text += f" · {comparison.delta:+.4f} [{comparison.ci_low:+.4f}, {comparison.ci_high:+.4f}]"
    where = f" · equals experiment {equal.name}" if equal else ""
    yield StatusLine(topic="verdict", text=f"{text} · {version}{where}")
    if metrics_json.text(metrics, "profile") == "fast":
        yield StatusLine(topic="verdict", text="measured under profile fast", mend="dvc exp run -S profile=full")


def _work_tree(layout: ProjectPaths, tree: WorkTree, equal: Experiment | None, landed: bool) -> Iterator[StatusLine]:
    edited = tree.edited if equal is None else []
    if edited:
        mend = "dvc exp run, or git stash"
        yield StatusLine(topic="work tree", text=f"edited, in no commit and no experiment: {_few(edited)}", mend=mend)
    if not layout.lock.is_file():
        yield StatusLine(topic="work tree", text="there is no dvc.lock", mend="dvc exp run")
        return
    if not layout.metrics.is_file():  # as in a fresh clone: the run that brings results brings all the rest
        return
    try:
        lock = dvc_lock_diff.read(layout.lock.read_bytes())
        stale = dvc_lock_diff.changed_sources(layout.root, lock)
    except AssayError as error:
        yield StatusLine(topic="work tree", text=error.problem, mend="git checkout HEAD -- dvc.lock")
        return
    if landed:
        stale = {
            stage: rest for stage, names in stale.items() if (rest := [name for name in names if name != "baseline"])
        }
    if stale:
        names = list(dict.fromkeys(name for changed in stale.values() for name in changed))
        text = f"{', '.join(stale)} last ran with another {_few(names)}"
        yield StatusLine(topic="work tree", text=text, mend="dvc exp run")
    outputs = dvc_lock_diff.changed_outputs(layout.root, lock)
    if outputs:
        text = f"outputs that are not those of dvc.lock: {_few(outputs)}"
        first = shlex.join(outputs[:5])  # by name and not by force: DVC then keeps what its cache has not
        yield StatusLine(topic="work tree", text=text, mend=f"dvc checkout {first}, or dvc pull {first}")
    if not (edited or stale or outputs):
        yield StatusLine(topic="work tree", text="clean" if equal is None else f"clean, as experiment {equal.name}")


def _leftovers(layout: ProjectPaths, tree: WorkTree, repository: Repository) -> Iterator[StatusLine]:
    folder = Path(git.run(layout.root, "rev-parse", "--absolute-git-dir"))
    found = killed_run_leftovers.find(layout.root, repository.refs, folder)
    log = detached_head.read(layout.root)
    lost = detached_head.unreachable(layout.root, log.commits if tree.branch else [tree.head] if found.running else [])
    if lost:
        text = f"{len(lost)} commit(s) made while a run had detached HEAD are on no branch"
        yield StatusLine(topic="runs", text=text, mend=detached_head.kept(lost[0]))
    if found.running:
        yield StatusLine(topic="runs", text=f"a run is under way (process {_join(found.running)})")
        return
    if found.orphans:
        text = f"a stage lives on without its run (process {_join(found.orphans)})"
        yield StatusLine(topic="runs", text=text, mend=f"kill {_join(found.orphans)}")
    if found.refs:
        mend = "git for-each-ref --format='delete %(refname)' refs/exps/exec | git update-ref --stdin"
        yield StatusLine(topic="runs", text=f"a killed run left {_few([_short(ref) for ref in found.refs])}", mend=mend)
    for lock in found.locks:
        yield StatusLine(topic="runs", text=f"a killed command left {lock}", mend=f"rm {quote(str(lock))}")
    if not tree.branch:
        text, mend = detached_head.sentence(layout.root, log), detached_head.attach(layout.root, log.branch)
        yield StatusLine(topic="runs", text=text, mend=mend)


def _short(ref: str) -> str:
    return ref.rpartition("/")[2]


def _unproven(repository: Repository, state: State) -> Iterator[StatusLine]:
    without = [item.name for item in repository.experiments if not metrics_json.text(item.metrics, "verdict")]
    if without:
        mend = f"dvc exp remove {shlex.join(without[:5])}"
        yield StatusLine(topic="experiments", text=f"{len(without)} without a verdict: {_few(without)}", mend=mend)
    elif repository.experiments:
        yield StatusLine(topic="experiments", text=f"{len(repository.experiments)}, each with a verdict")
    for tag in state.unverifiable:
        text = f"{tag.name} is not verifiable: {tag.problem}"
        yield StatusLine(topic="tags", text=text, mend=f"git show {quote(tag.name)}")


def _unpushed(layout: ProjectPaths, tree: WorkTree, repository: Repository) -> Iterator[StatusLine]:
    fetched = any(name.startswith("refs/remotes/") for name in repository.refs)
    if not fetched and not git.run(layout.root, "remote", check=False):
        yield StatusLine(topic="remote", text="none is set: nothing is backed up")
        return
    if tree.branch and not tree.upstream:
        text = f"{tree.branch} was never pushed"
        yield StatusLine(topic="remote", text=text, mend=f"git push -u --follow-tags origin {quote(tree.branch)}")
    elif tree.ahead:
        text = f"{tree.ahead} commit(s) of {tree.branch} are not in {tree.upstream}"
        yield StatusLine(topic="remote", text=text, mend="git push --follow-tags && dvc push")
    if tree.behind:
        text = f"{tree.upstream} has {tree.behind} commit(s) that {tree.branch} has not"
        yield StatusLine(topic="remote", text=text, mend="git pull && dvc pull")
    missing = _tags_elsewhere(layout, repository)
    tagged = {tag.name: tag.commit for tag in repository.tags}
    taken_there = {name: there for name in missing if (there := name_conflicts.branch(layout.root, name, tagged[name]))}
    for name, there in taken_there.items():
        text = f"{there} has another {name} than this clone"
        mend = f"{name_conflicts.way_out(name, there)}, then accept the experiment under another name"
        yield StatusLine(topic="remote", text=text, mend=mend)
    missing = [name for name in missing if name not in taken_there]
    if missing and tree.branch and (tree.ahead or not tree.upstream):  # the push of the branch takes its tags along
        taken = git.run(layout.root, "for-each-ref", "--format=%(refname)", "--merged=HEAD", "refs/tags").split("\n")
        missing = [name for name in missing if f"refs/tags/{name}" not in taken]
    if missing:
        text = f"the commits of {_few(missing)} are on no remote branch"
        yield StatusLine(topic="remote", text=text, mend=f"git push origin {shlex.join(missing[:5])}")


def _tags_elsewhere(layout: ProjectPaths, repository: Repository) -> list[str]:
    """Tags of strategies whose commit no remote branch contains, as far as was last fetched."""
    tags = [tag for tag in repository.tags if tag.name.startswith("strategy/") and tag.event is not None]
    if not tags:
        return []
    fetched = [f"^{ref.object}" for ref in repository.refs.values() if ref.name.startswith("refs/remotes/")]
    asked = "\n".join([*{tag.commit for tag in tags}, *fetched])
    listed = set(git.run(layout.root, "rev-list", "--stdin", stdin=asked, check=False).split())
    return [tag.name for tag in tags if tag.commit in listed]


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _join(processes: list[int]) -> str:
    return " ".join(map(str, processes))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
