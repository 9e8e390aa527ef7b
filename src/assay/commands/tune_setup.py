"""What `assay tune` is asked for: the candidate, the grid, the cells of both arms.

Covers: the candidate's tree (an experiment, a branch, a commit, or the work tree), search cells on seeds of their own,
the baseline's grid on its own commit, where it is measured once for all candidates. Not covered: running them
(`commands.tune`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.commands import experiment_grid
from assay.commands.experiment_grid import Cell
from assay.commands.sweep import combinations
from assay.commands.try_setup import check_tracked, same_files, value_of
from assay.core import params_yaml, variation
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.history import name_lookup
from assay.history.experiments import read
from assay.runtime import dvc_yaml, files, git, work_tree_snapshot

#: added to `seed` for the search: seeds that no judgement uses
SEARCH = 7919
#: values of a grid
LARGEST = 16

Setting = tuple[str, ...]


@dataclass(frozen=True)
class TuningSetup:
    """All cells, each without `replicates`. `own`: the grid's setting that the baseline has, None where it has none."""

    layout: ProjectPaths
    asked: Params  # of the candidate, without the grid
    who: str  # the candidate, as people call it
    baseline: AcceptedStrategy
    grid: list[Setting]
    own: Setting | None
    itself: bool  # whether the candidate is the baseline, but for what the grid sets
    search: dict[Setting, Cell]
    fresh: dict[Setting, Cell]
    against: dict[Setting, Cell]


def setup(layout: ProjectPaths, grid: Sequence[str], candidate: str | None, name: str) -> TuningSetup:
    """The design of `grid` (key=value,value…) for `candidate`, None for the work tree.

    Raises UsageError for a grid of fewer than 2 or more than 16 values, one that no run takes, a baseline that is the
    floor, an unknown candidate; ProvenanceError for imported files that Git does not track.
    """
    experiment_grid.check_settings(layout, grid)
    settings = combinations(grid)
    if len(settings) > LARGEST:
        raise UsageError(f"{', '.join(grid)} makes {len(settings)} values", allowed=f"2 to {LARGEST}")
    head = git.run(layout.root, "rev-parse", "HEAD")
    tree, content, who = _candidate(layout, candidate)
    asked = params_yaml.resolved(content)
    variation.refuse_splits(asked.vary, "assay tune", "judges fresh replicates that share no split")
    _check_keys(asked, settings[0])
    experiment_grid.check_profile(asked, settings[0])
    if asked.baseline == FLOOR:
        raise UsageError(
            "there is no baseline to tune: nothing is accepted, and baseline: is floor",
            hint="assay sweep for the values of one strategy, or assay accept EXPERIMENT NAME, then tune",
        )
    baseline = accepted_strategy.resolve(dvc_yaml.current(layout.root), asked.baseline)
    theirs = dvc_yaml.parameters_at(layout.root, baseline.commit) or b""
    own, accepted = None, params_yaml.resolved(theirs)
    experiment_grid.check_profile(accepted, settings[0])
    then = params_yaml.strategy(accepted)
    for setting in settings:
        values = dict(value_of(one) for one in setting)
        params_yaml.changed(content, values)  # a value that no run takes is refused before the first one
        if params_yaml.strategy(params_yaml.changed(theirs, values)) == then:
            own = setting

    def cell(base: str, part: str, setting: Setting, more: tuple[str, ...], of: str) -> Cell:
        ordered = tuple(sorted((*setting, *more)))
        digest = files.digest(" ".join((base, of, *ordered)).encode())[:8]
        return Cell(setting, base, ordered, f"{name}{part}-{digest}", of if base == head else "")

    apart = ("baseline=floor", f"seed={(asked.seed + SEARCH) % 2**53}")
    return TuningSetup(
        layout=layout,
        asked=asked,
        who=who,
        baseline=baseline,
        grid=settings,
        own=own,
        itself=_itself(layout, (content, theirs), settings[0], (baseline.commit, tree)),
        search={one: cell(head, "-search", one, apart, tree) for one in settings},
        fresh={one: cell(head, "", one, (), tree) for one in settings},
        against={one: cell(baseline.commit, "-grid", one, (f"baseline={baseline.name}",), "") for one in settings},
    )


def _itself(layout: ProjectPaths, contents: tuple[bytes, bytes], setting: Setting, trees: tuple[str, str]) -> bool:
    values = dict(value_of(one) for one in setting)
    first, second = (params_yaml.strategy(params_yaml.changed(content, values)) for content in contents)
    return first == second and same_files(layout, *trees)


def _check_keys(asked: Params, setting: Setting) -> None:
    for key, _ in map(value_of, setting):
        if not asked.is_script and key.partition(".")[0] not in params_yaml.STRATEGY:
            raise UsageError(
                f"{key} is no parameter of the strategy", allowed=f"keys under {', '.join(params_yaml.STRATEGY)}"
            )


def _candidate(layout: ProjectPaths, name: str | None) -> tuple[str, bytes, str]:
    """Tree and params.yaml of the candidate, and what it is called."""
    root = layout.root
    if name is not None:
        found = name_lookup.experiment(root, read(root), name)
        tree = git.run(root, "rev-parse", f"{found.commit}^{{tree}}")
        return tree, dvc_yaml.parameters_at(root, found.commit) or b"", found.name
    content = dvc_yaml.parameters(root)
    check_tracked(root, params_yaml.resolved(content).task.name)
    snapshot = work_tree_snapshot.take(layout)
    return snapshot.tree, content, "your edits" if snapshot.edited else "HEAD"
