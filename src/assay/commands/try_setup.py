"""What `assay try` is asked for, checked before anything trains: the idea, the state of the tree, the looks.

Covers: settings, edits of the work tree that are taken along, the baseline, whether there is an idea at all. Not
covered: price (`commands.try_price`), running it (`commands.try_idea`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.changes import strategy_content
from assay.changes.strategy_content import StrategyContent
from assay.commands import experiment_grid, recorded_comparison
from assay.commands.experiment_grid import Cell
from assay.core import params_yaml
from assay.core.errors import ProvenanceError, UsageError
from assay.core.params_yaml import Params
from assay.core.paths import PARAMS, ProjectPaths
from assay.core.yaml12 import parse
from assay.runtime import dvc_yaml, files, git, work_tree_snapshot
from assay.runtime import source_roots as trees
from assay.runtime.git_commit_hint import commit_command, named
from assay.stats import sequential_testing
from assay.stats.alpha_budget import ANYTIME
from assay.stats.stopping_rule import LOOKS

#: parameters that the command itself sets, or that say how it is judged
OWN = ("replicates", "baseline", "judge", "metric")


@dataclass(frozen=True)
class TriedIdea:
    """One idea: an experiment that will grow from look to look."""

    layout: ProjectPaths
    cell: Cell
    asked: Params  # all of its parameters; `judge.looks` as they will be recorded
    plan: tuple[int, ...]  # replicates an arm at each look
    baseline: AcceptedStrategy
    edited: list[str]  # files of the work tree that are taken along, from the repository's top

    def at(self, n: int) -> Cell:
        """The experiment at n replicates an arm."""
        looks = [f"judge.looks=[{','.join(map(str, self.plan))}]"] if self.asked.judge.looks else []
        return replace(self.cell, settings=(*self.cell.settings, f"replicates={n}", *looks))

    @property
    def label(self) -> str:
        return " ".join([*self.cell.changes, *(["your edits"] if self.edited else [])]) or "HEAD as it stands"


def idea(layout: ProjectPaths, settings: Sequence[str], why: str, name: str) -> TriedIdea:
    """The idea of `settings` (key=value) on the work tree as it stands.

    Raises UsageError for settings that are no idea or cannot be read, for one that is the baseline itself, and where
    nothing can be compared with; ProvenanceError for imported files that Git does not track.
    """
    experiment_grid.check_settings(layout, settings)
    values = dict(map(value_of, settings))
    if len(values) < len(settings):
        raise UsageError(f"-S {' -S '.join(settings)} names a parameter twice", allowed="each parameter once")
    content = dvc_yaml.parameters(layout.root)
    asked = params_yaml.changed(content, values)
    experiment_grid.check_profile(asked, settings)
    if asked.judge.test != ANYTIME and not asked.judge.looks:
        asked = params_yaml.changed(content, {**values, "judge.looks": list(LOOKS)})
    plan = tuple(asked.judge.looks) or LOOKS
    sequential_testing.check(plan)
    recorded_comparison.check_rival(asked)
    check_tracked(layout.root, asked.task.name)
    baseline = accepted_strategy.resolve(dvc_yaml.current(layout.root), asked.baseline)
    snapshot = work_tree_snapshot.take(layout)
    if baseline.commit and _is_baseline(layout, asked, baseline.commit, snapshot.tree):
        raise UsageError(
            f"{' '.join(settings) or 'HEAD as it stands'} is what {baseline.name} has already: it is no idea",
            allowed="another value, or an edit of the task",
            hint="assay try -S lr=VALUE",
        )
    base = git.run(layout.root, "rev-parse", "HEAD")
    ordered = tuple(sorted(settings))
    digest = files.digest(" ".join((base, snapshot.tree, *ordered, str(plan))).encode())[:8]
    cell = Cell(tuple(settings), base, ordered, f"{name}-{digest}", snapshot.tree, why)
    return TriedIdea(layout, cell, asked, plan, baseline, snapshot.edited)


def check_tracked(root: Path, task: str) -> None:
    """Raises ProvenanceError for imported files that Git does not track: what is run are the tracked ones."""
    if missing := strategy_content.untracked(root, task):
        raise ProvenanceError(
            f"{named(missing)} imported, but not tracked by Git: the experiment would go without",
            hint=commit_command(root, missing),
        )


def value_of(setting: str) -> tuple[str, object]:
    """Key and value of a setting, as DVC reads it. Raises UsageError for what is no part of an idea."""
    key, _, text = setting.partition("=")
    if key.partition(".")[0] in OWN:
        raise UsageError(
            f"-S {setting}: {key} says how an idea is measured, and is none",
            allowed=f"keys under {', '.join(params_yaml.STRATEGY)}",
            hint=f"set {key} in params.yaml" + (", or judge.looks: [3, 5, 10, 20]" if key == "replicates" else ""),
        )
    if "," in text and text[:1] not in "[{'\"":
        raise UsageError(f"-S {setting} is several values", allowed="one", hint=f"assay sweep -S {setting}")
    return key, parse(f"value: {text}")["value"]


def _is_baseline(layout: ProjectPaths, asked: Params, commit: str, tree: str) -> bool:
    """Whether parameters and sources are those of `commit`, and nothing but parameters differs in all of the tree."""
    then = strategy_content.in_commit(layout.root, commit, asked.profile)
    now = StrategyContent(
        params_yaml.strategy(asked), strategy_content.sources(trees.project(layout.root), asked.task.name)
    )
    return not now.since(then).count and same_files(layout, commit, tree)


def same_files(layout: ProjectPaths, commit: str, tree: str) -> bool:
    """Whether nothing differs between `commit` and `tree` but parameters and results."""
    listed = git.run(layout.root, "diff-tree", "-r", *git.NAMES, commit, tree).split("\0")
    results = work_tree_snapshot.results(layout)
    own = str(Path(posixpath.normpath(git.prefix(layout.root) + PARAMS)))
    return all(path == own or dvc_yaml.within(path, results) for path in listed if path)
