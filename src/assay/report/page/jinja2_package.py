"""Jinja2 and its escaping; None where it is not installed: then there are comments and no pages."""

from __future__ import annotations

from types import ModuleType

jinja2: ModuleType | None
markupsafe: ModuleType | None
try:
    import jinja2
    import markupsafe
except ImportError:
    jinja2 = markupsafe = None

__all__ = ["jinja2", "markupsafe"]
