"""vl-convert, which draws Vega-Lite without a browser; None where it is not installed: pages then have tables alone."""

from __future__ import annotations

from types import ModuleType

#: what installs the packages that pages need
INSTALL = "pip install 'dvc-assay[report]'"

vl_convert: ModuleType | None
try:
    import vl_convert
except ImportError:
    vl_convert = None

__all__ = ["INSTALL", "vl_convert"]
