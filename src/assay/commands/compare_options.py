"""What a user may say to `assay compare`."""

from __future__ import annotations

from dataclasses import dataclass

#: where neither a look nor a user says one
ALPHA = 0.05


@dataclass(frozen=True)
class Options:
    """What a user may say. "" and None mean: as recorded, else the default."""

    column: str = ""
    direction: str = ""
    test: str = "welch"
    alpha: float | None = None
    min_effect: float | None = None
    worst: float | None = None
    fixed: float | None = None
    finished_only: bool = False  # leave out what still runs
    rescore: bool = False
    examples: bool = True  # ask the metric's code about new examples, where it ran here before
