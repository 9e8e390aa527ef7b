"""Assay: tells a real gain from luck.

The public names are looked up when they are asked for: every stage imports this package, and a stage
that trains must neither load nor depend on the statistics behind `assay.compare`.
"""

from __future__ import annotations

import importlib
from typing import Any

#: public name → module that defines it
PUBLIC: dict[str, str] = {
    "compare": "assay.stats.arm_comparison",
    "factorial": "assay.stats.factorial_design",
    "holm": "assay.stats.multiple_comparisons",
    "load": "assay.commands.export",
}

__all__ = ["compare", "factorial", "holm", "load"]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'assay' has no attribute {name!r}; it has: {', '.join(PUBLIC)}")
    return getattr(importlib.import_module(PUBLIC[name]), name)
