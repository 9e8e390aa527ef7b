"""What the checkers of `assay status` look at: the project, read once.

Covers: reading it. Not covered: what is wrong with it, which each `commands.status_*` says of one topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.baseline import baseline_param
from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.core.params_yaml import Params
from assay.core.paths import LOCK, RESULTS, ProjectPaths
from assay.history import work_tree_status
from assay.history.experiments import Experiment, Repository, parse_metrics, read
from assay.history.strategy_status import State, Strategy, fold
from assay.history.work_tree_status import WorkTree
from assay.runtime import dvc_yaml, files, git, project_root, source_analysis_cache


@dataclass(frozen=True)
class StatusProject:
    """One project as it stands. `params` are None where they cannot be read, for the reason `refused`."""

    layout: ProjectPaths
    repository: Repository
    tree: WorkTree
    state: State
    equal: Experiment | None  # the experiment that the work tree equals
    accepted: bool  # whether the results at hand are those with which the baseline was accepted
    params: Params | None
    refused: AssayError | None
    metrics: dict[str, object]
    unreadable: str  # what is wrong with results/metrics.json

    @property
    def baseline(self) -> Strategy | None:
        """The evidence of the baseline that params.yaml names, where there is any."""
        return self.state.strategies.get(self.params.baseline.removeprefix("strategy/")) if self.params else None


def look(start: Path) -> StatusProject:
    """The project at `start`."""
    layout = project_root.find(start)
    source_analysis_cache.load(dvc_yaml.store(layout.root).sources)
    repository = read(layout.root, stamps=False)
    tree = work_tree_status.read(layout.root)
    state = fold(repository.tags)
    equal = work_tree_status.equal_experiment(layout.root, repository.experiments)
    asked, refused = _parameters(layout)
    content = layout.metrics.read_bytes() if layout.metrics.is_file() else None
    metrics, unreadable = parse_metrics(content)
    accepted = _accepted(layout, state)
    return StatusProject(layout, repository, tree, state, equal, accepted, asked, refused, metrics, unreadable)


def _parameters(layout: ProjectPaths) -> tuple[Params | None, AssayError | None]:
    try:
        return params_yaml.load(dvc_yaml.parameters(layout.root)), None
    except AssayError as error:
        return None, error


def _accepted(layout: ProjectPaths, state: State) -> bool:
    """Whether the results compare the baseline with the one before it: until the next run that is as it should be."""
    try:
        name = baseline_param.baseline(files.read_bytes(layout.params))
    except AssayError:
        return False
    strategy = state.strategies.get(name.removeprefix("strategy/"))
    return strategy is not None and not git.edited(layout.root, strategy.tag.commit, LOCK, RESULTS)


def few(names: Sequence[str]) -> str:
    """The first of `names`, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def number(value: float | None) -> str:
    """A score as a line shows it."""
    return "–" if value is None else f"{value:.4f}"
