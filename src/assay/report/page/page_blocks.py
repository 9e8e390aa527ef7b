"""Blocks that a page is made of: sentences, tables, charts with their tables, diffs, named gaps.

Covers: what is shown, in plain strings and numbers. Not covered: HTML (`page.page_html`), Markdown
(`page.page_markdown`), drawing charts (`page.chart_svg`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

#: characters of one foreign text in a cell
LONGEST_CELL = 200


@dataclass(frozen=True)
class Sentence:
    """One line of text. `tone`: plain, strong, or caution, which no reader may overlook."""

    kind: ClassVar[str] = "sentence"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class PageTable:
    """Rows of cells, the first of which names its row.

    `numbers`: columns that are set right; `shades`: (row, column) → 1 (least) to 4 (most).
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    shades: Mapping[tuple[int, int], int] = field(default_factory=dict)
    closed: bool = False  # folded away until a reader asks for it


@dataclass(frozen=True)
class Figure:
    """A chart as a Vega-Lite specification, a name and a description of it for who cannot see it, and its numbers."""

    kind: ClassVar[str] = "figure"
    title: str
    description: str
    spec: Mapping[str, Any]
    table: PageTable


@dataclass(frozen=True)
class DiffLines:
    """Changed lines of files: each line with its mark, `+`, `-`, `@` or a blank."""

    kind: ClassVar[str] = "diff"
    caption: str
    lines: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Gap:
    """Something that is not at hand: what it would show, why not, and the command that brings it."""

    kind: ClassVar[str] = "gap"
    what: str
    why: str
    hint: str = ""


class GalleryItem(NamedTuple):
    """One example: its heading, lines below it, a picture as a `data:` address or "", a text or "".

    `alternative`: what the picture shows, for who cannot see it; "" for "example HEADING".
    """

    heading: str
    lines: Sequence[str]
    picture: str = ""
    text: str = ""
    alternative: str = ""


@dataclass(frozen=True)
class Gallery:
    """Examples for the eye."""

    kind: ClassVar[str] = "gallery"
    caption: str
    items: Sequence[GalleryItem]
    closed: bool = False


Block = Sentence | PageTable | Figure | DiffLines | Gap | Gallery


@dataclass(frozen=True)
class PageSection:
    """A heading and what stands below it. `name` is its place in the page's address."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class PageArticle:
    """All sections about one experiment, or about all together."""

    name: str
    title: str
    sections: Sequence[PageSection]


@dataclass(frozen=True)
class Page:
    """One file: its title, the sentence that says it all, what follows."""

    title: str
    lead: str
    articles: Sequence[PageArticle]
