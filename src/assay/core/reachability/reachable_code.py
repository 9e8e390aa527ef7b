"""Which code of the project a metric, or a member of a task, reaches: definition by definition.

Covers: names followed into other modules. What cannot be followed takes its whole module: one that has effects at
import, one that imports such a module and so can change what it got, and one where reached code finds names at run
time. Not covered: files that a metric opens, versions of other packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from assay.core.reachability.module_graph import Project
from assay.core.reachability.top_level_statements import Unit


class Reach:
    """The units that `roots` reach, when `module` is imported. `instead` is what counts for some of them.

    Beside them counts what importing does: `effects`, or every module that has any where nothing is given.
    """

    def __init__(
        self,
        project: Project,
        module: str,
        roots: Iterable[Unit],
        instead: Mapping[Unit, Unit],
        effects: Iterable[Unit] | None = None,
    ) -> None:
        self._project = project
        self._instead = instead
        self.units: set[Unit] = set()
        self._grow(roots)
        if effects is not None:
            self._grow(effects)
            return
        for name in project.with_effects(module):
            self._grow(project.units(name))

    def text(self, names: Mapping[str, str] | None = None) -> str:
        """All that was reached: units in their own order, module by module; `names`: what a module is called here.

        An import that stands twice in a module with another name is written once, as in a file with less in it.
        """
        called = {unit: (names or {}).get(unit.module, unit.module) for unit in self.units}
        lines, imports = [], set()
        for unit in sorted(self.units, key=lambda unit: (called[unit], unit.place)):
            line = f"{called[unit]}: {unit.text}"
            if not (names and unit.is_import and line in imports):
                lines.append(line)
            imports.add(line)
        return "\n".join(lines)

    def _grow(self, units: Iterable[Unit]) -> None:
        waiting = list(units)
        while waiting:
            unit = waiting.pop()
            unit = self._instead.get(unit, unit)
            if unit not in self.units:
                self.units.add(unit)
                waiting.extend(self._used(unit))
                waiting.extend(self._project.units(unit.module) if unit.scan.opaque else ())

    def _used(self, unit: Unit) -> Iterator[Unit]:
        for chain in unit.scan.uses:
            yield from (hit.unit for hit in self._project.follow(unit, chain))
        for module in unit.scan.modules:
            yield from self._project.units(module)
        if unit.is_import:
            for name in unit.binds:
                yield from (hit.unit for hit in self._project.follow(unit, (name,)) if hit.name != "*")


def of_members(project: Project, module: str, members: Iterable[str]) -> Reach:
    """What these names of `module` reach, and each statement that importing it runs for more than a name."""
    roots = [hit.unit for member in members for hit in project.lookup(module, (member,))]
    return Reach(project, module, roots, {}, project.acting(module))
