"""Whether the package that TPE needs is installed, and what installs it; without importing it."""

from __future__ import annotations

import importlib.util

INSTALL = "pip install 'dvc-assay[search]'"


def installed() -> bool:
    """Whether Optuna can be imported."""
    return importlib.util.find_spec("optuna") is not None
