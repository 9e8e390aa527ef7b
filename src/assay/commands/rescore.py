"""`assay rescore`: stored predictions under today's metric version; nothing is trained, nothing predicted.

A strategy is scored by the replicates that it stands with, which whatever was measured against it keeps
as its baseline; an experiment by its own. A number whose metric imported other versions of packages than today's is
made again, too. Scores of strategies become tags (`rescored/NAME/VERSION`), those of experiments one ref a version.
Not covered: verdicts, which `evaluate` alone gives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

import msgspec

from assay.acceptance.write_tags import check_identity, write
from assay.baseline import baseline_param
from assay.commands import check_evaluation_setup, compare_metric_options
from assay.commands.check_evaluation_setup import Today
from assay.core.errors import AssayError, UsageError
from assay.core.paths import IN_PROJECT, LOCK, PARAMS, RULERS, ProjectPaths
from assay.core.schemas import Arm
from assay.history import cached_predictions, metrics_json, rescored_metrics
from assay.history.cached_predictions import CachedArm, NotAtHandError
from assay.history.experiments import Repository, read
from assay.history.rescored_metrics import RescoredScore
from assay.history.strategy_status import State, Strategy, fold
from assay.runtime import (
    dvc_cache_dir,
    dvc_lock,
    environment,
    files,
    git,
    import_closure,
    project_root,
    stage_fingerprint,
    task_code,
)
from assay.runtime.git_objects import Objects, reading
from assay.tags.strategy_events import Rejected, Rescored, Score

FETCH = "dvc fetch --all-tags arms/{arm}.json predictions/{arm}"


@dataclass(frozen=True)
class RescoreResult:
    """Scores by name, and what was not scored with the reason; `kept` is false for a dry run."""

    metric_version: str
    kept: bool
    scored: dict[str, Score] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Work:
    """What one call works with. `ruler` is the commit that holds today's metric, "" for a dry run."""

    layout: ProjectPaths
    repository: Repository
    state: State
    today: Today
    packages: str  # that today's metric imports, with their versions
    ruler: str
    cache: Path
    objects: Objects
    done: RescoreResult


def rescore(start: Path, dry_run: bool = False) -> RescoreResult:
    """Score every strategy and experiment that has no number under today's metric version and its packages.

    Raises IncomparableError when the validation part is not today's, ProvenanceError when the ruler is in no
    commit, which evidence could refer to.
    """
    layout = project_root.find(start)
    today = check_evaluation_setup.load(layout)
    ruler = "" if dry_run else check_evaluation_setup.check_committed(today)
    if not dry_run:
        check_identity(layout.root)
    repository = read(layout.root)
    state, done = fold(repository.tags), RescoreResult(today.version, not dry_run)
    with reading(layout.root) as objects:
        packages, cache = _packages(layout, today), dvc_cache_dir.folder(layout.root)
        work = _Work(layout, repository, state, today, packages, ruler, cache, objects, done)
        _strategies(work)
        _experiments(work)
    return done


def _packages(layout: ProjectPaths, today: Today) -> str:
    """What today's metrics import from elsewhere, as `context` notes it for `evaluate`."""
    code = stage_fingerprint.find(layout.root, "evaluate", today.asked.task.name)
    own = [Path(file) for file in code.files]
    imported = import_closure.third_party(layout.root, own, task_code.without_show(layout.root))
    return environment.listed(environment.versions(imported))


def _holds(work: _Work, version: str, packages: str | None) -> bool:
    """Whether a number under `version` is today's; one of before packages were noted agrees with any."""
    return version == work.today.version and packages in (None, "", work.packages)


def _recorded(work: _Work, commits: Sequence[str]) -> list[str | None]:
    """What the deciding metric imported by the results of each commit; None where they do not say it.

    Of a record that cannot be read nothing is known, and so it is scored again: "?" is no package.
    """
    where = git.prefix(work.layout.root) + RULERS
    found = work.objects.read([f"{commit}:{where}" for commit in commits])
    return [None if one is None else _imported(one.content, work.today.ruler.decides) for one in found]


def _imported(content: bytes, metric: str) -> str:
    try:
        return compare_metric_options.packages(content, metric, "")
    except AssayError:
        return "?"


def _strategies(work: _Work) -> None:
    state, version = work.state, work.today.version
    measured, sequence = _measured_against(work), state.sequence
    for tag in state.unverifiable:
        if tag.name.startswith("strategy/"):
            work.done.left[tag.name] = f"it is not verifiable: {tag.problem}; next: git show {quote(tag.name)}"
    for strategy in state.strategies.values():
        name = strategy.tag.name
        if _is_scored(work, strategy):
            continue
        try:
            found = _standing(strategy, measured.get(name, []), work.cache)
            score = work.today.score(found)
        except AssayError as error:
            work.done.left[name] = error.sentence
            continue
        work.done.scored[name] = score
        if work.ruler:
            sequence += 1
            write(work.layout.root, _event(strategy, sequence, work, found, score), f"Score {name} under {version}")


def _event(strategy: Strategy, sequence: int, work: _Work, found: CachedArm, score: Score) -> Rescored:
    return Rescored(
        name=strategy.accepted.name,
        sequence=sequence,
        commit=strategy.tag.commit,
        metric=work.today.ruler.decides,
        metric_version=work.today.version,
        predictions=found.digest,
        ruler=work.ruler,
        score=score,
        packages=work.packages or None,
        again=True if work.today.version in strategy.rescored else None,
    )


def _is_scored(work: _Work, strategy: Strategy) -> bool:
    """Whether the strategy's newest number under today's version is today's."""
    if again := strategy.rescored.get(work.today.version):
        return _holds(work, again.metric_version, again.packages)
    (packages,) = _recorded(work, [strategy.tag.commit])
    return _holds(work, strategy.accepted.metric_version, packages)


def _measured_against(work: _Work) -> dict[str, list[bytes]]:
    """Baseline → dvc.lock of every commit that was measured against it, and of the work tree."""
    prefix, layout = git.prefix(work.layout.root), work.layout
    commits = [item.commit for item in work.repository.experiments]
    commits += [strategy.tag.commit for strategy in work.state.strategies.values()]
    commits += [*(tag.commit for tag in work.state.rejected.values()), "HEAD"]
    params_files = work.objects.read([f"{commit}:{prefix}{PARAMS}" for commit in commits])
    locks = work.objects.read([f"{commit}:{prefix}{LOCK}" for commit in commits])
    pairs = [(one.content, two.content) for one, two in zip(params_files, locks, strict=True) if one and two]
    pairs.append((files.read_bytes(layout.params), files.read_bytes(layout.lock)))
    found: dict[str, list[bytes]] = {}
    for content, lock in pairs:
        found.setdefault(baseline_param.glance(content), []).append(lock)
    return found


def _standing(strategy: Strategy, locks: list[bytes], cache: Path) -> CachedArm:
    """The replicates that the strategy stands with, wherever they are kept; never those that selected it.

    Raises NotAtHandError when no run predicted them, or the cache has lost all that did.
    """
    name, lost = strategy.tag.name, None
    for lock in {dvc_lock.output_hash(lock, IN_PROJECT.record("baseline").as_posix()): lock for lock in locks}.values():
        try:
            if _stands(cached_predictions.record(cache, lock, "baseline"), strategy) and (
                found := cached_predictions.read(cache, lock, "baseline")
            ):
                return found
        except NotAtHandError as error:
            lost = NotAtHandError(error.problem, hint=FETCH.format(arm="baseline"))
    raise lost or NotAtHandError(
        "no stored run predicted with its accepted replicates", hint=f"dvc exp run -S baseline={name}"
    )


def _stands(arm: Arm | None, strategy: Strategy) -> bool:
    """Whether `arm` is the strategy's own commit, its own profile, and the draw that it stands with."""
    if arm is None or arm.measurement is None or arm.commit != strategy.tag.commit:
        return False
    seeds, measured = strategy.seeds, arm.measurement
    present = [one.number for one in measured.replicates]
    first = list(range(seeds.candidate, seeds.candidate + len(present)))  # a run may have asked for more of the draw
    same = (measured.purpose, measured.profile) == (seeds.purpose, strategy.accepted.profile)
    least = min(seeds.n, strategy.accepted.selection.candidate.n)  # a confirmation may be larger than a run asks for
    return same and present == first and len(present) >= least


def _experiments(work: _Work) -> None:
    """Experiments, and rejected ones that only their tag keeps."""
    version = work.today.version
    known = rescored_metrics.tables(work.layout.root).get(version, {})
    scored = {commit for commit, score in known.items() if _holds(work, version, score.packages)}
    due = {commit: name for commit, name in _due(work, known) if commit not in scored}
    names = Counter(due.values())
    due = {commit: name if names[name] == 1 else f"{name} ({commit[:12]})" for commit, name in due.items()}
    locks = work.objects.read([f"{commit}:{git.prefix(work.layout.root)}{LOCK}" for commit in due])
    scores = dict(known)
    for (commit, name), lock in zip(due.items(), locks, strict=True):
        try:
            found = work.done.scored[name] = _experiment(work, name, lock.content if lock else b"")
            scores[commit] = RescoredScore(**msgspec.structs.asdict(found), packages=work.packages)
        except AssayError as error:
            work.done.left[name] = error.sentence
    if scores != known and work.ruler:
        rescored_metrics.write(work.layout.root, version, scores)


def _experiment(work: _Work, name: str, lock: bytes) -> Score:
    try:
        found = cached_predictions.read(work.cache, lock, "candidate")
    except NotAtHandError as error:
        rejected = name.startswith("rejected/")
        hint = FETCH.format(arm="candidate") if rejected else f"dvc exp pull origin {quote(name.partition(' ')[0])}"
        raise NotAtHandError(error.problem, hint=hint) from error
    if found is None:
        raise UsageError("it has no results", hint=f"dvc exp remove {quote(name.partition(' ')[0])}")
    return work.today.score(found)


def _due(work: _Work, known: Mapping[str, Score]) -> Iterator[tuple[str, str]]:
    """Commit and name of what was measured under another version, or with other packages.

    What is `known` was made again before, whatever it was measured under.
    """
    rejected = [(tag, tag.event) for tag in work.state.rejected.values() if isinstance(tag.event, Rejected)]
    measured = [(tag.commit, tag.name, event.metric_version) for tag, event in rejected]
    measured += [
        (item.commit, item.name, metrics_json.text(item.metrics, "metric_version"))
        for item in work.repository.experiments
    ]
    imported = _recorded(work, [commit for commit, _, _ in measured])
    for (commit, name, version), packages in zip(measured, imported, strict=True):
        if commit in known or not _holds(work, version, packages):
            yield commit, name
