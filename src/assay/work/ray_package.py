"""Ray, or one sentence where it is not installed. Imported only where work goes to a Ray cluster."""

from __future__ import annotations

import importlib
import os
from typing import Any

from assay.core.errors import UsageError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of this project goes to anybody

try:
    ray: Any = importlib.import_module("ray")
except ImportError as error:
    raise UsageError("Ray is not installed", hint="pip install 'dvc-assay[ray]'") from error
