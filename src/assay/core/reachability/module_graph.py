"""Modules of a project and the names in them, followed through imports.

Covers: which modules an import runs, which definitions a name leads to, aliases and packages included.
Not covered: what code does with them (`core.reachability.reachable_code`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import NamedTuple

from assay.core.ast_normal_form import Source
from assay.core.reachability.import_side_effects import meets_others
from assay.core.reachability.python_scopes import Chain
from assay.core.reachability.top_level_statements import Unit, units_of

#: module name → its source, None when the project has no such module
Reader = Callable[[str], Source | None]


#: first name of this library's own modules
LIBRARY = "assay"


class Hit(NamedTuple):
    """A unit that a chain leads to."""

    unit: Unit
    name: str  # bound by the unit; "*" when the whole module is meant
    rest: Chain  # attributes left over


class Project:
    """Modules of a project, read when they are first asked for."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._units: dict[str, list[Unit] | None] = {}

    def has(self, module: str) -> bool:
        if module not in self._units:
            source = self._read(module)
            self._units[module] = None if source is None else units_of(module, source, self._owns)
        return self._units[module] is not None

    def _owns(self, name: str) -> bool:
        """Whether a dotted name begins with a module of the project; nothing is parsed for it."""
        parts = name.split(".")
        return any(self._read(".".join(parts[:length])) is not None for length in range(len(parts), 0, -1))

    def units(self, module: str) -> list[Unit]:
        return (self._units[module] or []) if self.has(module) else []

    def binding(self, module: str, name: str) -> list[Unit]:
        return [unit for unit in self.units(module) if name in unit.binds]

    def executed(self, module: str) -> list[str]:
        """Modules of the project that importing `module` runs, itself and packages included, sorted.

        Not those of Assay: their names are followed, and what their import does is the same for every task.
        """
        found: set[str] = set()
        waiting = {module}
        while waiting:
            parts = waiting.pop().split(".")
            if parts[0] == LIBRARY:
                continue
            packages = {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
            new = {name for name in packages - found if self.has(name)}
            found |= new
            waiting |= {name for module in new for name in self._imports(module)} - found
        return sorted(found)

    def with_effects(self, module: str) -> list[str]:
        """Modules that importing `module` runs and that have effects then, or that import one which has, sorted."""
        executed = self.executed(module)
        found: set[str] = set()
        new = {name for name in executed if any(unit.effects for unit in self.units(name))}
        while new:
            found |= new
            new = {name for name in executed if self._imports(name) & found} - found
        return sorted(found)

    def acting(self, module: str) -> list[Unit]:
        """Statements that importing `module` runs and that may do more than bind names, wherever they stand.

        A module whose classes meet other classes counts whole, and so does one that imports it.
        """
        executed = self.executed(module)
        found = {name for name in executed if any(self._meets(unit) for unit in self.units(name))}
        new = found
        while new:
            new = {name for name in executed if self._imports(name) & found} - found
            found |= new
        return [unit for name in executed for unit in self.units(name) if unit.acts or name in found]

    @staticmethod
    def _meets(unit: Unit) -> bool:
        return unit.node is not None and meets_others(unit.node)

    def _imports(self, module: str) -> set[str]:
        """Dotted names that running `module` imports, where they are modules."""
        scans = [unit.scan for unit in self.units(module) if unit.executed]
        return {name for scan in scans for name in scan.loads | scan.modules}

    def follow(self, unit: Unit, chain: Chain) -> Iterator[Hit]:
        """Everything that the global name `chain[0]` of `unit` leads to, the aliases on the way included."""
        return self.lookup(unit.module, chain, unit.scan.imports.get(chain[0], set()))

    def lookup(self, module: str, chain: Chain, targets: Set[str] = frozenset()) -> Iterator[Hit]:
        """What `follow` gives in `module`, where an inner import lets the name stand for `targets`, too."""
        waiting: list[tuple[str, Chain, Set[str]]] = [(module, chain, targets)]
        seen: set[tuple[str, Chain]] = set()
        while waiting:
            module, names, targets = waiting.pop()
            if (module, names) in seen:
                continue
            seen.add((module, names))
            for bound in self.binding(module, names[0]):
                yield Hit(bound, names[0], names[1:])
                targets = targets | bound.scan.imports.get(names[0], set())
            for target in sorted(targets):
                for place, rest in self._locate((*target.split("."), *names[1:])):
                    if rest and self.binding(place, rest[0]):
                        waiting.append((place, rest, set()))
                    else:
                        yield from (Hit(each, "*", rest) for each in self.units(place))

    def _locate(self, path: Chain) -> Iterator[tuple[str, Chain]]:
        """The longest module at the start of a dotted path, and the package that may bind its last part instead."""
        for length in range(len(path), 0, -1):
            if self.has(".".join(path[:length])):
                yield ".".join(path[:length]), path[length:]
                package = ".".join(path[: length - 1])
                if package and self.binding(package, path[length - 1]):
                    yield package, path[length - 1 :]
                return
