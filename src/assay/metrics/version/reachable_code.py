"""Which code of the project a metric reaches, definition by definition.

Covers: names followed into other modules. What cannot be followed takes its whole module: one that has effects at
import, one that imports such a module and so can change what it got, and one where reached code finds names at run
time. Not covered: files that a metric opens, versions of other packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from assay.metrics.version.module_graph import Project
from assay.metrics.version.top_level_statements import Unit


class Reach:
    """The units that `roots` reach, when `module` is imported. `instead` is what counts for some of them."""

    def __init__(self, project: Project, module: str, roots: Iterable[Unit], instead: Mapping[Unit, Unit]) -> None:
        self._project = project
        self._instead = instead
        self.units: set[Unit] = set()
        self._grow(roots)
        for name in project.with_effects(module):
            self._grow(project.units(name))

    def text(self) -> str:
        """All that was reached: units in their own order, module by module."""
        ordered = sorted(self.units, key=lambda unit: (unit.module, unit.place))
        return "\n".join(f"{unit.module}: {unit.text}" for unit in ordered)

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
