"""What the tree as it stands changes against an accepted strategy.

Covers: gathering parameters and strategy sources of both trees. Not covered: counting and wording
(`changes.strategy_diff`), and finding the strategy's commit (`baseline.accepted_strategy`).
"""

from __future__ import annotations

from pathlib import Path

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.changes.strategy_diff import Changes, changes
from assay.core import params_yaml
from assay.runtime import dvc_yaml, script_source, task_code
from assay.runtime.dvc_yaml import Run


def since(run: Run, named: AcceptedStrategy, profile: str) -> Changes | None:
    """Differences between `named` and the project's working tree; None for the floor, which has neither."""
    if named.name == accepted_strategy.FLOOR:
        return None
    old, new = accepted_strategy.unpack(run, named.commit), run.layout.root
    return changes(_parameters(old, profile), _parameters(new, profile), strategy_sources(old), strategy_sources(new))


def strategy_sources(root: Path) -> dict[str, str]:
    """Path → text of every source of the user's that prepares or trains in the tree at `root`."""
    task = params_yaml.load(dvc_yaml.parameters(root), str(root / "params.yaml")).task.name
    found = task_code.texts(root, task, (task_code.DATA, task_code.LEARNING))
    if script := script_source.task(root):  # its ruler is the same for both arms, and a change of the metric
        ruler = {file.as_posix() for file in script_source.ruler(root, script)}
        found = {path: text for path, text in found.items() if path not in ruler}
    return found


def _parameters(root: Path, profile: str) -> dict[str, object]:
    path = root / "params.yaml"
    return params_yaml.strategy(params_yaml.resolved(dvc_yaml.parameters(root), profile, str(path)))
