"""Changes that change nothing: found before anything trains for them.

What HEAD has already is no part of an ablation, and the baseline itself no idea of a sweep: a difference could only be
luck, or is none at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assay.changes import strategy_content
from assay.commands import experiment_grid
from assay.commands.experiment_grid import Cell
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.runtime import git


def check_parts(layout: ProjectPaths, base: Cell, parts: Sequence[Cell]) -> None:
    """Raises UsageError for a part of an ablation, a cell of one change, that leaves all as it is in `base`."""
    for part in parts:
        (change,) = part.changes
        if part.base == base.base and _same_parameters(layout, base, part):
            raise UsageError(
                f"-S {change} changes nothing: HEAD has that value already",
                allowed="another value",
                hint=f"leave -S {change} out",
            )
        if part.base != base.base and _tree(layout, part.base) == _tree(layout, base.base):
            raise UsageError(
                f"--branch {change} changes nothing: HEAD has all of it already", hint=f"leave --branch {change} out"
            )


def ideas(layout: ProjectPaths, made: Sequence[Cell], say: Callable[[str], None]) -> list[Cell]:
    """The cells of a sweep without the baseline itself. Raises UsageError where its value was asked for by itself."""
    found = []
    for one in made:
        if not _is_baseline(layout, one):
            found.append(one)
        elif len(one.changes) > 1:
            say(f"{one.label} is the baseline itself, and is left out")
        else:
            name = experiment_grid.asked(layout, one).baseline
            raise UsageError(
                f"-S {one.label} is what {name} has already: it is the baseline itself",
                allowed="other values",
                hint=f"leave {one.label.partition('=')[2]} out",
            )
    return found


def _same_parameters(layout: ProjectPaths, one: Cell, other: Cell) -> bool:
    first, second = _asked(layout, one), _asked(layout, other)
    return first is not None and first == second


def _asked(layout: ProjectPaths, one: Cell) -> Params | None:
    """Its parameters; None where they are refused, which its run says better."""
    try:
        return experiment_grid.asked(layout, one)
    except UsageError:
        return None


def _tree(layout: ProjectPaths, commit: str) -> str:
    return git.run(layout.root, "rev-parse", f"{commit}^{{tree}}")


def _is_baseline(layout: ProjectPaths, one: Cell) -> bool:
    """Whether the cell is the accepted strategy that it would be measured against: by parameters and sources."""
    asked = _asked(layout, one)
    if asked is None or asked.baseline == "floor":
        return False
    name = asked.baseline
    commit = git.resolve(layout.root, f"refs/tags/{name}") or git.resolve(layout.root, name)
    if not commit:
        return False
    try:
        then = strategy_content.in_commit(layout.root, commit, asked.profile)
    except UsageError:
        return False
    now = strategy_content.with_params(layout.root, one.base, asked)
    return not now.since(then).count
