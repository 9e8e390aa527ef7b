"""Re-scoring costs, per further strategy, at most 1/50 of re-training it.

Builds a project with the parameters of params.yaml, trains `--strategies` of them for real (each the baseline of the
next, which is how a strategy's predictions are kept), raises the ruler, and re-scores the first of them and all of
them. Training is `assay stage train` with an empty cache of replicates. CPU seconds, because a further strategy
costs less than two starts of a process differ by on the clock; medians of `--repeats`, of 3 for training.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from assay.commands.rescore import rescore
from assay.tags.strategy_events import Accepted, RecordedComparison, Score, Seeds
from assay.tags.trailers import format_event
from support.project import SMALL, Project, create

WHO = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def evidence(name: str, sequence: int, commit: str, n: int, purpose: str) -> str:
    """The message of a tag that says `commit` was accepted, and stands with the replicates that it trained."""
    comparison = RecordedComparison(
        "progress", Score(n, 0.97, 0.004), Score(n, 0.96, 0.004), 0.01, 0.006, 0.014, 0.0001, 0.025
    )
    event = Accepted(
        name=name,
        sequence=sequence,
        commit=commit,
        metric="accuracy",
        metric_version="accuracy-0.00000000",
        profile="full",
        baseline="floor",
        baseline_commit="",
        experiment=name,
        experiment_commit=commit,
        changed=[],
        selection=comparison,
        confirmation=comparison,
        attempts=1,
        seeds=Seeds(1, purpose, n, 0, 10_000),
        environment="",
    )
    return format_event(event, name)


def measured(project: Project, name: str, number: int, n: int) -> None:
    """strategy/NAME, trained; then measured as a baseline by a run whose commit a second tag keeps."""
    project.dvc("repro", "--quiet")
    commit = project.commit(f"train {name}")
    message = evidence(name, 2 * number + 1, commit, n, "baseline")
    subprocess.run(
        ["git", "tag", "--annotate", "--cleanup=verbatim", "--file=-", f"strategy/{name}", commit],
        cwd=project.root,
        input=message,
        text=True,
        check=True,
        env={**os.environ, **WHO},
    )


def build(folder: Path, count: int) -> tuple[Project, int]:
    """`count` strategies, each measured as the baseline of the next."""
    project = create(folder)
    for old, new in SMALL.items():  # the parameters that the project comes with, not those of the tests
        project.edit("params.yaml", new, old)
    n = 10
    for number in range(count + 1):
        project.edit("params.yaml", "lr: 0.003" if number == 0 else f"lr: 0.00{number + 2}", f"lr: 0.00{number + 3}")
        measured(project, f"s{number}", number, n)
        before = "floor" if number == 0 else f"strategy/s{number - 1}"
        project.edit("params.yaml", f"baseline: {before}", f"baseline: strategy/s{number}")
    project.edit("params.yaml", f"baseline: strategy/s{count}", f"baseline: strategy/s{count - 1}")
    project.edit("src/tasks/digits/metrics.py", "REVISION = 1", "REVISION = 2")
    project.commit("raise the ruler")
    return project, n


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds of `run`, its child processes included."""
    taken = []
    for _ in range(repeats):
        began = sum(os.times()[:4])
        run()
        taken.append(sum(os.times()[:4]) - began)
    return statistics.median(taken)


@contextmanager
def only(project: Project, count: int) -> Iterator[None]:
    """The project with the first `count` strategies."""
    tags = [tag for tag in project.git("tag", "--list", "strategy/*").split() if int(tag[len("strategy/s") :]) >= count]
    made = {tag: project.git("rev-parse", f"refs/tags/{tag}") for tag in tags}
    project.git("tag", "--delete", *tags)
    yield
    for tag, name in made.items():
        project.git("update-ref", f"refs/tags/{tag}", name)


def rescoring(project: Project, count: int, repeats: int) -> tuple[int, float]:
    """How many of the first `count` strategies one call scores, and its CPU seconds."""
    with only(project, count):
        found = rescore(project.root, dry_run=True)
        return len(found.scored), seconds(lambda: rescore(project.root, dry_run=True), repeats)


def train(project: Project) -> None:
    shutil.rmtree(project.root / ".dvc/tmp/assay/replicates", ignore_errors=True)
    project.stage("train")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategies", type=int, default=6, choices=range(2, 7))
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project, n = build(Path(folder), given.strategies)
        training = seconds(lambda: train(project), 3)
        most, many = rescoring(project, given.strategies, given.repeats)
        # A strategy's replicates are in the run that was measured against it: of the first two, one can be scored.
        least, few = rescoring(project, 2, given.repeats)
    each = (many - few) / (most - least)
    print(f"training one strategy ({n} replicates): {training:.2f} CPU s")
    print(f"re-scoring {least}: {few:.3f} CPU s, {most}: {many:.3f} CPU s; each further one: {each:.4f} CPU s")
    print(f"allowed, 1/50 of training: {training / 50:.4f} CPU s")


if __name__ == "__main__":
    main()
