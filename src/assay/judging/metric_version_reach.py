"""Which code of the project a metric reaches, definition by definition.

Covers: names followed into other modules, everything that may change a reached name while modules are
imported (registries, decorators, monkey patches), subclasses that register themselves. What cannot be
resolved takes its whole module. Not covered: files that a metric opens, versions of other packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from assay.judging.metric_version_names import Chain
from assay.judging.metric_version_project import Hit, Project
from assay.judging.metric_version_readers import READERS, READING
from assay.judging.metric_version_scan import Effects
from assay.judging.metric_version_units import Unit

#: a definition: module and name
Key = tuple[str, str]
#: stand for any object of another package: whoever patches it is reached, or calls it for its effect alone
FOREIGN: Key = ("another package", "patched")
CALLED: Key = ("another package", "called")


class Reach:
    """The units that `roots` reach, when `module` is imported."""

    def __init__(self, project: Project, module: str, roots: Iterable[Unit]) -> None:
        self._project = project
        self._executed = [unit for name in project.executed(module) for unit in project.units(name) if unit.executed]
        self._indirect: dict[Unit, set[Key]] = {}
        self.units: set[Unit] = set()
        self._grow(roots)
        for unit in self._executed:
            if unit.scan.now.opaque:
                self._grow(project.units(unit.module))
        while new := list(self._changing()):
            self._grow(new)

    def text(self) -> str:
        """All that was reached: units in their own order, module by module."""
        ordered = sorted(self.units, key=lambda unit: (unit.module, unit.place))
        return "\n".join(f"{unit.module}: {unit.text}" for unit in ordered)

    def changers(self, keys: set[Key]) -> list[Unit]:
        """Units that may change what `keys` name while modules are imported."""
        return [unit for unit in self._executed if (self._direct(unit, unit.scan.now) | self._called(unit)) & keys]

    def _grow(self, units: Iterable[Unit]) -> None:
        waiting = list(units)
        while waiting:
            unit = waiting.pop()
            if unit not in self.units:
                self.units.add(unit)
                waiting.extend(self._used(unit))
                waiting.extend(self._project.units(unit.module) if unit.scan.later.opaque else ())

    def _used(self, unit: Unit) -> Iterator[Unit]:
        for chain in unit.scan.uses:
            yield from (hit.unit for hit in self._project.follow(unit, chain))
        for module in unit.scan.modules:
            yield from self._project.units(module)
        if unit.kind == "import":
            for name in unit.binds:
                yield from (hit.unit for hit in self._project.follow(unit, (name,)) if hit.name != "*")

    def _changing(self) -> Iterator[Unit]:
        """What is not reached yet and changes what is; a monkey patch with the whole module that it stands in."""
        keys = self._shared({(unit.module, name) for unit in self.units for name in unit.binds}) | {FOREIGN, CALLED}
        for unit in self.changers(keys):
            patched = {module for module, _ in self._direct(unit, unit.scan.now) & keys - {CALLED}} - {unit.module}
            found = self._project.units(unit.module) if patched else [unit]
            yield from (each for each in found if each not in self.units)

    def _shared(self, keys: set[Key]) -> set[Key]:
        """`keys` and the names that may stand for the same objects: `other = table`."""
        grown = set(keys)
        for unit in self._executed:
            if unit.kind == "other" and self._in_use(unit) & grown:
                grown |= {(unit.module, name) for name in unit.binds}
        return grown if grown == keys else self._shared(grown)

    def _in_use(self, unit: Unit) -> set[Key]:
        """Objects that `unit` uses and that can be changed in place."""
        hits = (hit for chain in unit.scan.uses for hit in self._project.follow(unit, chain))
        return {key for hit in hits if hit.unit.kind == "other" for key in _keys(hit)}

    def _direct(self, unit: Unit, effects: Effects) -> set[Key]:
        """What the unit's own statements may change."""
        found: set[Key] = set().union(*map(self._in_use, self._within(unit))) if effects.blind else set()
        for chain in effects.stores:
            found |= self._stored(unit, chain)
        for chain in effects.calls:
            found |= {CALLED} if unit.kind == "call" and self._is_foreign(unit, chain) else set()
            found |= {key for hit in self._objects(unit, chain) if _changes(hit) for key in _keys(hit)}
        for function, chain in effects.handed:
            if not self._only_reads(unit, function):
                found |= {key for hit in self._objects(unit, chain) if hit.unit.kind == "other" for key in _keys(hit)}
        for chain in effects.bases:
            found |= {key for hit in self._objects(unit, chain) if _meets_subclasses(hit) for key in _keys(hit)}
        return found

    def _stored(self, unit: Unit, chain: Chain) -> set[Key]:
        if len(chain) > 1 and self._is_foreign(unit, chain):
            return {FOREIGN}
        hits = self._project.follow(unit, chain)
        return {key for hit in hits if hit.unit.kind != "import" or not hit.rest for key in _keys(hit)}

    def _is_foreign(self, unit: Unit, chain: Chain) -> bool:
        hits = list(self._project.follow(unit, chain))
        return bool(hits) and all(hit.unit.kind == "import" for hit in hits)

    def _objects(self, unit: Unit, chain: Chain) -> Iterator[Hit]:
        return (hit for hit in self._project.follow(unit, chain) if hit.unit.kind != "import")

    def _only_reads(self, unit: Unit, function: Chain) -> bool:
        if not function or any(self._objects(unit, function)):
            return False
        builtin = function[0] in READERS and not self._project.binding(unit.module, function[0])
        return builtin or function[-1] in READING

    def _called(self, unit: Unit) -> set[Key]:
        """What functions may change that the unit calls, or hands to others to call, while it is imported."""
        chains = unit.scan.now.calls | {chain for _, chain in unit.scan.now.handed}
        functions = {hit.unit for chain in chains for hit in self._objects(unit, chain)}
        return set().union(*(self._inside(function) for function in functions))

    def _inside(self, function: Unit) -> set[Key]:
        """What calling `function` may change, through all the functions that it uses."""
        if function not in self._indirect:
            within = self._within(function)
            changes = [self._direct(unit, unit.scan.later) for unit in within]
            modules = {unit.module for unit in within if unit.scan.later.opaque}
            anything = [{(name, key) for unit in self._project.units(name) for key in unit.binds} for name in modules]
            self._indirect[function] = set().union(*changes, *anything)
        return self._indirect[function]

    def _within(self, unit: Unit) -> set[Unit]:
        """The unit and all that it uses, at first and at second hand."""
        seen: set[Unit] = set()
        waiting = [unit]
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting.extend(self._used(each))
        return seen


def _keys(hit: Hit) -> set[Key]:
    names = hit.unit.binds if hit.name == "*" else {hit.name}
    return {(hit.unit.module, name) for name in names}


def _changes(hit: Hit) -> bool:
    """Whether calling what was found calls a method that may change its object: `table.update`, not `table.get`."""
    return bool(hit.rest) and hit.rest[-1] not in READING


def _meets_subclasses(hit: Hit) -> bool:
    return hit.unit.kind == "definition" and ("__init_subclass__" in hit.unit.text or "metaclass" in hit.unit.text)
