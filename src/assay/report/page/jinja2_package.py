"""Jinja2, or one sentence where it is not installed. Imported only where a page is made."""

from __future__ import annotations

from assay.core.errors import UsageError

try:
    import jinja2
    from markupsafe import Markup
except ImportError as error:
    raise UsageError(
        "pages need Jinja2, which is not installed", hint="pip install 'dvc-assay[report]', or assay report --markdown"
    ) from error

__all__ = ["Markup", "jinja2"]
