"""Classes of machine as blocks: `judge.blocks: machine` has every class train as many replicates of both arms.

Replicates go to classes by turns, by their numbers alone, so that more of them change no earlier one. Covers: which
parameters allow it, whose turn a number is. Not covered: the statistics (`stats.block_effects`), what a class is
(`core.machine_section`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from assay.core import variation
from assay.core.errors import UsageError

#: replicates of an arm that a class trains at least: fewer tell nothing of the spread within a class
LEAST = 2
#: value of judge.blocks
MACHINE = "machine"

T = TypeVar("T")


def turn(number: int, classes: Sequence[T]) -> T:
    """The class that trains the replicate with this number."""
    return classes[number % len(classes)]


def refuse_script(where: str, *, is_script: bool) -> None:
    """Raise UsageError where a script is to be trained by other machines."""
    if is_script:
        raise UsageError(
            f"{where}: judge.blocks is {MACHINE}, and other machines train no scripts",
            hint="remove judge.blocks in params.yaml",
        )


def check(classes: Sequence[str], replicates: int, test: str, vary: Sequence[str], where: str) -> None:
    """Raise UsageError where blocks of these classes decide nothing, or are not judged by `test`."""
    if len(classes) < 2:
        raise UsageError(
            f"{where}: judge.blocks is {MACHINE}, and machine.classes has {', '.join(classes) or 'none'}",
            allowed="two classes of machine or more",
            hint="name them under machine.classes in params.yaml",
        )
    if variation.SPLIT in vary or test != "welch":
        what = f"vary has {variation.SPLIT}" if variation.SPLIT in vary else f"judge.test is {test}"
        raise UsageError(
            f"{where}: judge.blocks is {MACHINE}, and {what}",
            allowed="judge.test: welch on one split",
            hint="remove one of the two in params.yaml",
        )
    count = len(classes)
    if replicates % count or replicates < LEAST * count:
        raise UsageError(
            f"{where}: replicates is {replicates}, and blocks of {count} classes would be unbalanced or too small",
            allowed=f"{', '.join(str(each * count) for each in range(LEAST, LEAST + 3))}, …",
            hint="set replicates in params.yaml",
        )
