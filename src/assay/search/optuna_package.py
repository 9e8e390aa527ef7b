"""Optuna, or one sentence where it is not installed. Imported only where settings are to be proposed by TPE."""

from __future__ import annotations

import warnings

from assay.core.errors import UsageError
from assay.search.tpe_installed import INSTALL

try:
    import optuna
except ImportError as error:
    raise UsageError(
        "TPE needs optuna, which is not installed", allowed="--sampler sobol without it", hint=INSTALL
    ) from error

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

__all__ = ["optuna"]
