"""`assay ablate --accepted`: the baseline without each accepted change, on shared seeds, judged as one family.

After tuning, or after later changes, a part that once helped may be idle. Every cell is an experiment on the baseline's
commit, so the same command goes on. Not covered: taking changes out (`commands.accepted_changes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.baseline import accepted_strategy
from assay.commands import accepted_changes, experiment_grid, grid_price, measured_design
from assay.commands.accepted_changes import AcceptedChanges
from assay.commands.experiment_grid import Say, Wanted
from assay.core import params_yaml, variation
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.history import replicates_csv
from assay.runtime import dvc_yaml, project_root
from assay.stats import one_factor
from assay.stats.one_factor import Factor

#: how the ledger calls it: command, account, test
CALLED = ("ablate", "ablation", "accepted")
WITHOUT = "without"


@dataclass(frozen=True)
class AcceptedAblation:
    """`changes`: a factor a strategy, whose one level is the baseline without its change. `experiments`: strategy →
    experiment; `left`: what cannot be taken out, `failed`: what does not run without it, each with the reason."""

    baseline: str
    metric: str
    metric_version: str
    n: int
    alpha: float
    changes: list[Factor]
    experiments: dict[str, str]
    left: dict[str, str]
    failed: dict[str, str]


def ablate_accepted(start: Path, say: Say, wanted: Wanted, dry_run: bool = False) -> AcceptedAblation | None:
    """Measure the accepted baseline, and the same without each change that was accepted on the way to it.

    With `dry_run` only changes and price are said. Raises UsageError where nothing was accepted, where no change can be
    taken out, and where the baseline does not run; IncomparableError where earlier looks have spent alpha.
    """
    layout = project_root.find(start)
    asked = params_yaml.resolved(dvc_yaml.parameters(layout.root))
    variation.refuse_splits(asked.vary, "assay ablate", "has no test of effects over splits that overlap")
    baseline = accepted_strategy.resolve(dvc_yaml.current(layout.root), asked.baseline)
    found = accepted_changes.find(layout, baseline, wanted)
    for name, one in found.without.items():
        back = [setting for setting in one.settings if not setting.startswith(("baseline=", "replicates="))]
        code = [f"its part of {path}" for path in accepted_changes.files_of(layout, one)]
        say(f"without {name}: {', '.join([*back, *code])}")
    if not found.without:
        name, why = next(iter(found.left.items()))
        raise UsageError(f"no accepted change can be taken out; {name}: {why}", allowed="changes that stand alone")
    cells = [found.centre, *found.without.values()]
    say(grid_price.line(layout, cells, experiment_grid.asked(layout, found.centre)))
    return None if dry_run else _measured(layout, found, say)


def _measured(layout: ProjectPaths, made: AcceptedChanges, say: Say) -> AcceptedAblation:
    found = measured_design.measured(layout, made.centre, list(made.without.values()), CALLED, say)
    first, arms = found.first, found.arms
    changes = one_factor.one_factor(
        arms[made.centre],
        {(name, WITHOUT): arms.get(one) for name, one in made.without.items()},
        dict.fromkeys(made.without, "with it"),
        first["direction"],
        alpha=found.alpha,
        min_effect=float(first["min_effect"]),
        worst=replicates_csv.worst(first),
        distinct=replicates_csv.SAME_AS in first,
    )
    return AcceptedAblation(
        baseline=made.baseline.name,
        metric=found.metric,
        metric_version=found.metric_version,
        n=found.n,
        alpha=found.alpha,
        changes=changes,
        experiments={name: one.name for name, one in made.without.items()},
        left=made.left,
        failed=found.failed,
    )
