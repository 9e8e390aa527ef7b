"""A page as one HTML file: no script, no address outside of itself, all foreign text escaped.

Covers: the template, characters that a reader does not see but a browser obeys, charts in their places. Not covered:
what the page says (`page.page_blocks`), how charts are drawn (`page.chart_svg`).
"""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

from assay.core import sanitize_output
from assay.core.errors import UsageError
from assay.report.page import chart_svg
from assay.report.page.chart_svg import Store
from assay.report.page.jinja2_package import jinja2, markupsafe
from assay.report.page.page_blocks import LONGEST_CELL, Figure, Page
from assay.report.page.vl_convert_package import INSTALL

PLACE = Path(__file__).resolve().parents[2] / "templates" / "report"
#: characters of any one text
LONGEST_TEXT = 200_000
NO_CHARTS = f"charts are left out: vl-convert is not installed ({INSTALL}); their tables are here"


def html(page: Page, store: Store) -> str:
    """The whole file. `store(key, draw)` gives a chart that was drawn before, else draws and keeps it.

    Raises UsageError where Jinja2 is not installed.
    """
    if jinja2 is None:
        raise UsageError("pages need Jinja2, which is not installed", hint=f"{INSTALL}, or assay report --markdown")
    environment = jinja2.Environment(
        autoescape=True, finalize=_printable, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    template = environment.from_string((PLACE / "page.html").read_text(encoding="utf-8"))
    style = _trusted((PLACE / "page.css").read_text(encoding="utf-8").rstrip("\n"))
    count = itertools.count(1)
    note = "" if chart_svg.available() else NO_CHARTS
    return str(template.render(page=page, style=style, note=note, draw=partial(_chart, count, store), cut=_cut))


def _chart(count: itertools.count[int], store: Store, figure: Figure) -> Any:
    if not chart_svg.available():
        return ""
    drawn = chart_svg.svg(figure.spec, f"c{next(count)}", figure.title, figure.description, store)
    return _trusted(drawn)


def _trusted(text: str) -> Any:
    """Text of ours that is put in as it stands."""
    assert markupsafe is not None  # comes with Jinja2
    return markupsafe.Markup(text)


def _printable(value: Any) -> Any:
    """Text without characters that a browser obeys and no reader sees, cut where it is very long."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return sanitize_output.cut(sanitize_output.lines(value), LONGEST_TEXT)


def _cut(text: str) -> str:
    return sanitize_output.cut(text, LONGEST_CELL)
