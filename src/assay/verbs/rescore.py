"""`assay rescore`: stored predictions under today's metric version; nothing is trained, nothing predicted.

A strategy is scored by the replicates that it stands with, which whatever was measured against it keeps
as its baseline; an experiment by its own. Scores of strategies become tags (`rescored/NAME/VERSION`), those
of experiments one ref a version. Not covered: predictions for other examples; they cannot be compared.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.data import examples
from assay.evidence.events import Rescored, Score, Seeds
from assay.history import kept, numbers, pointer, project, rescored
from assay.history.kept import Kept
from assay.history.objects import Objects, reading
from assay.history.reading import Repository, parse_metrics, read
from assay.history.scratch import failed, run
from assay.history.state import State, Strategy, fold
from assay.history.writing import check_identity, write
from assay.outside import files, git, task_source
from assay.scoring import ruler
from assay.words import params
from assay.words.layout import Layout


@dataclass(frozen=True)
class Done:
    """Names that were scored, and those that were not with the reason."""

    metric_version: str
    scored: list[str]
    left: dict[str, str]


class Today:
    """Today's ruler: metric, examples, version."""

    def __init__(self, layout: Layout) -> None:
        asked = params.resolved(files.read_bytes(layout.params))
        where = f"src/tasks/{asked.task.name}/metrics.py"
        module = task_source.load(layout.root, asked.task.name, "metrics")
        self.metric = ruler.chosen(ruler.read(module, where), asked.metric.name, where)
        self.options = asked.metric.options
        self.part, _ = examples.read(layout.part("validation"), ["ids", "targets"])
        metrics, _ = parse_metrics(files.read_bytes(layout.metrics, "dvc repro evaluate"))
        self.version = numbers.text(metrics, "metric_version")

    def score(self, found: Kept, who: str) -> Score | str:
        """The group's score, or why it has none."""
        if not np.array_equal(found.ids, self.part.ids):
            return "it predicted other examples than today's"
        assert found.arm.measurement is not None  # `kept.read` gives no other
        finite = [one.diverged is None for one in found.arm.measurement.replicates]
        rows = found.predictions[finite]
        values = [ruler.score(self.metric, self.options, self.part.targets, row, who) for row in rows]
        mean = float(np.mean(values)) if values else None
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return Score(n=len(values), mean=mean, sd=sd, diverged=len(finite) - len(values))


def rescore(start: Path, say: Callable[[str], None]) -> Done:
    """Score every strategy and experiment that has no number under today's metric version."""
    layout = project.find(start)
    check_identity(layout.root)
    code, said = run(
        [sys.executable, "-m", "dvc", "repro", "--quiet", "--single-item", "evaluate"], layout.root, layout.root
    )
    if code:
        raise failed("today's ruler cannot be applied", said, "dvc repro")
    asked = subprocess.run(
        [sys.executable, "-m", "dvc", "cache", "dir"], cwd=layout.root, capture_output=True, text=True
    )
    today, cache = Today(layout), Path(asked.stdout.strip())
    repository = read(layout.root)
    state = fold(repository.tags)
    done = Done(today.version, [], {})
    with reading(layout.root) as objects:
        _strategies(layout, repository, state, today, cache, objects, done)
        _experiments(layout, repository, today, cache, objects, done)
    say(f"{len(done.scored)} scored under {today.version}, {len(done.left)} left")
    return done


def _strategies(
    layout: Layout, repository: Repository, state: State, today: Today, cache: Path, objects: Objects, done: Done
) -> None:
    measured = _measured_against(layout, repository, state, objects)
    sequence = state.sequence
    for strategy in state.strategies.values():
        name = strategy.tag.name
        if today.version in (strategy.accepted.metric_version, *strategy.rescored):
            continue
        found = next(_standing(strategy, measured.get(name, []), cache), None)
        score = today.score(found, name) if found else "its predictions are not at hand; next: dvc pull --all-tags"
        if found is None or isinstance(score, str):
            done.left[name] = str(score)
            continue
        sequence += 1
        event = Rescored(
            name=strategy.accepted.name,
            sequence=sequence,
            commit=strategy.tag.commit,
            metric=today.metric.name,
            metric_version=today.version,
            predictions=found.digest,
            score=score,
        )
        write(layout.root, event, f"Score {name} under {today.version}")
        done.scored.append(name)


def _measured_against(layout: Layout, repository: Repository, state: State, objects: Objects) -> dict[str, list[bytes]]:
    """Baseline → dvc.lock of every commit that was measured against it."""
    prefix = git.prefix(layout.root)
    commits = [item.commit for item in repository.experiments]
    commits += [strategy.tag.commit for strategy in state.strategies.values()]
    params_files = objects.read([f"{commit}:{prefix}{pointer.PARAMS}" for commit in commits])
    locks = objects.read([f"{commit}:{prefix}dvc.lock" for commit in commits])
    pairs = [(one.content, two.content) for one, two in zip(params_files, locks, strict=True) if one and two]
    if layout.lock.is_file():
        pairs.append((files.read_bytes(layout.params), files.read_bytes(layout.lock)))
    found: dict[str, list[bytes]] = {}
    for content, lock in pairs:
        found.setdefault(pointer.glance(content), []).append(lock)
    return found


def _standing(strategy: Strategy, locks: list[bytes], cache: Path) -> Iterator[Kept]:
    """The replicates that the strategy stands with, wherever they are kept."""
    for lock in locks:
        found = kept.read(cache, lock, "baseline")
        if found is not None and found.arm.commit == strategy.tag.commit and _drawn(found, strategy.seeds):
            yield found


def _drawn(found: Kept, seeds: Seeds) -> bool:
    measured = found.arm.measurement
    wanted = list(range(seeds.candidate, seeds.candidate + seeds.n))
    return (
        measured is not None
        and measured.purpose == seeds.purpose
        and [one.number for one in measured.replicates] == wanted
    )


def _experiments(
    layout: Layout, repository: Repository, today: Today, cache: Path, objects: Objects, done: Done
) -> None:
    known = rescored.read(layout.root, objects).get(today.version, {})
    due = [item for item in repository.experiments if numbers.text(item.metrics, "metric_version") != today.version]
    due = [item for item in due if item.commit not in known]
    locks = objects.read([f"{item.commit}:{git.prefix(layout.root)}dvc.lock" for item in due])
    scores = dict(known)
    for item, lock in zip(due, locks, strict=True):
        found = kept.read(cache, lock.content, "candidate") if lock else None
        score = today.score(found, item.name) if found else "its predictions are not at hand"
        if isinstance(score, str):
            done.left[item.name] = score
        else:
            scores[item.commit] = score
            done.scored.append(item.name)
    if scores != known:
        rescored.write(layout.root, today.version, scores)
