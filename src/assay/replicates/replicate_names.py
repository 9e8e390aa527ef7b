"""A replicate's name: a hash of all that makes its weights. With classes of machine as blocks, that of its class."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from assay.core import machine_blocks
from assay.core.errors import IncomparableError
from assay.runtime import files

VERSION = 2


class Names(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ingredients of a replicate's name, all but its number.

    Where classes of machine are blocks, `environment` is that of the group's first replicate, and each has that of its
    own class: it has the same name as without blocks.
    """

    code: str
    parameters: dict[str, object]
    train: str  # content hash of the examples that really train
    profile: str
    environment: str
    purpose: str
    seed: int
    classes: dict[str, str] = {}  # class of machine → environment, in the order of turns

    def name(self, number: int) -> str:
        return self.digest(number, number)

    def digest(self, number: int | None, *ingredients: object) -> str:
        """Hash of these and `ingredients`, for replicate `number`, or None for the group."""
        alone = msgspec.structs.replace(self, classes={})
        if self.classes and number is not None:
            alone = msgspec.structs.replace(alone, environment=self.environment_of(number))
        raw = msgspec.json.encode([VERSION, msgspec.to_builtins(alone), *ingredients], order="deterministic")
        return files.digest(raw)

    def environment_of(self, number: int) -> str:
        """Environment.key of what trains this replicate."""
        return machine_blocks.turn(number, [*self.classes.values()]) if self.classes else self.environment

    def class_of(self, number: int) -> str:
        return machine_blocks.turn(number, [*self.classes]) if self.classes else ""

    def refuse_other_classes(self, numbers: Sequence[int], here: str) -> None:
        """Raises IncomparableError where replicates are another class's to train than this machine's, `here`."""
        others = [one for one in numbers if self.classes and self.environment_of(one) != here]
        if others:
            name = self.class_of(others[0])
            theirs = [one for one in others if self.class_of(one) == name]
            raise IncomparableError(
                f"{self.purpose}: replicates {', '.join(map(str, theirs))} are for machines of class {name}, and this "
                "is another: what it trained would be no block",
                allowed="every class of machine.classes trains its own",
                hint=f"assay work --class {name}",
            )
