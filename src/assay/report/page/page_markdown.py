"""A page as a pull-request comment: Markdown of a bounded length in which no name of others means anything.

Covers: the interval in Unicode, tables, what is left out for length. Not covered: posting it.
"""

from __future__ import annotations

from collections.abc import Iterator

from assay.core import sanitize_output
from assay.report.page.chart_specs import Interval
from assay.report.page.page_blocks import (
    Block,
    DiffLines,
    Figure,
    Gallery,
    Gap,
    Page,
    PageTable,
    Sentence,
)
from assay.report.page.page_marks import MARK

#: characters of a comment; GitHub takes 65,536
MOST = 60_000
#: characters of one cell
LONGEST = 120
#: characters of one part of an example's line
LONGEST_PART = 60
#: rows of one table
ROWS = 30
#: sections of a comment, by name
SECTIONS = ("family", "verdict", "new-examples", "changes", "cases", "slices", "cautions", "doctor")
CUT = "\n\n_The rest is left out for length; `assay report` has all of it._\n"
#: characters of the scale that intervals stand on
_BAR = 41


def markdown(page: Page) -> str:
    """At most `MOST` characters, cut between blocks."""
    text = f"{MARK}\n### {_line(page.title)}\n"
    text += f"\n**{_line(page.lead)}**\n" if page.lead else ""
    for block in _blocks(page):
        if len(text) + len(block) + len(CUT) + 1 > MOST:
            return text + CUT
        text += f"\n{block}\n"
    return text


def _blocks(page: Page) -> Iterator[str]:
    for article in page.articles:
        if len(page.articles) > 1:
            yield f"### {_line(article.title)}"
        for section in article.sections:
            if section.name not in SECTIONS:
                continue
            shown = [text for block in section.blocks if (text := _block(block))]
            if shown:
                yield f"#### {_line(section.title)}"
                yield from shown


def _block(block: Block) -> str:
    if isinstance(block, Sentence):
        form = {"caution": "> {}", "strong": "**{}**"}.get(block.tone, "{}")
        return form.format(_line(block.text))
    if isinstance(block, PageTable):
        return _table(block)
    if isinstance(block, Figure):
        return "\n\n".join(filter(None, (_bars(block), _table(block.table))))
    if isinstance(block, Gap):
        hint = f"; next: {_line(block.hint)}" if block.hint else ""
        return f"> {_line(block.what)}: not at hand, {_line(block.why)}{hint}"
    if isinstance(block, Gallery):
        return "\n".join(f"- {_example(head, *lines)}" for head, lines, *_ in block.items[:ROWS])
    assert isinstance(block, DiffLines)
    return ""  # code is for the page


def _table(block: PageTable) -> str:
    rule = ["---:" if number in block.numbers else "---" for number in range(len(block.columns))]
    rows = [block.columns, rule, *block.rows[:ROWS]]
    lines = [f"| {' | '.join(row if row is rule else map(_cell, row))} |" for row in rows]
    more = len(block.rows) - ROWS
    return "\n".join([*lines, *([f"\n_{more} more rows_"] if more > 0 else [])])


def _bars(figure: Figure) -> str:
    """Each interval as a line of characters, in a block of code; "" for a chart of something else."""
    rows = _interval_rows(figure)
    ends = [end for row in rows for end in (row.low, row.high, row.delta) if end is not None]
    if not ends:
        return ""
    low, high = min(0.0, *ends), max(0.0, *ends)
    width = max(len(row.name) for row in rows)
    lines = [f"{_code(row.name):<{min(width, 40)}} {_bar(row, low, high)}" for row in rows[:ROWS]]
    scale = f"{'':<{min(width, 40)}} {_place_zero(low, high)}"
    return "\n".join(["```text", *lines, scale, "```"])


def _interval_rows(figure: Figure) -> list[Interval]:
    """The intervals that a chart shows, none where it shows something else."""
    for layer in figure.spec.get("layer", ()):
        rows = layer.get("data", {}).get("values", ())
        if rows and set(rows[0]) == set(Interval._fields) and layer["mark"]["type"] == "point":
            return [Interval(**row) for row in rows]
    return []


def _bar(row: Interval, low: float, high: float) -> str:
    """`    ├────●────┤  ` on a scale from `low` to `high`."""
    cells = [" "] * _BAR
    ends = [_place(end, low, high) for end in (row.low, row.high) if end is not None]
    if len(ends) == 2:
        for place in range(ends[0], ends[1] + 1):
            cells[place] = "─"
        cells[ends[0]], cells[ends[1]] = "├", "┤"
    cells[_place(row.delta, low, high)] = "●"
    return "".join(cells).rstrip()


def _place_zero(low: float, high: float) -> str:
    return f"{' ' * _place(0.0, low, high)}0"


def _place(value: float, low: float, high: float) -> int:
    return round((value - low) / (high - low) * (_BAR - 1)) if high > low else _BAR // 2


def _code(text: str) -> str:
    """Text in a block of code, which nothing in it can end."""
    return sanitize_output.cut(sanitize_output.line(text).replace("`", "ʼ"), 40)


def _example(*parts: str) -> str:
    """Parts of an example on one line, each cut by itself: a long name leaves room for what the arms said."""
    return sanitize_output.comment(" · ".join(sanitize_output.cut(part, LONGEST_PART) for part in parts))


def _line(text: str) -> str:
    return sanitize_output.comment(sanitize_output.cut(text, sanitize_output.LONGEST))


def _cell(text: str) -> str:
    return sanitize_output.comment(sanitize_output.cut(text, LONGEST))
