"""cleanlab, or one sentence where it is not installed. Imported only where its rule was asked for."""

from __future__ import annotations

import importlib
from typing import Any

from assay.core.errors import UsageError

INSTALL = "pip install 'dvc-assay[labels]'"

try:
    label_filter: Any = importlib.import_module("cleanlab.filter")
except ImportError as error:
    raise UsageError("--rule cleanlab needs cleanlab, which is not installed", hint=INSTALL) from error
