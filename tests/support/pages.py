"""The documentation as text: its pages, their prose, sentences, code blocks and links.

Not covered: what a page says (tests/docs).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: ends of sentences; not the full stops of abbreviations and numbers
_END = re.compile(r"(?<=[.!?])[)*\"”]*\s+(?=[\"“(*`]?[^a-z\s])")
_FENCE = re.compile(r"^( *)(`{3,})([^\n]*)\n(.*?)^\1\2`*[ ]*$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    language: str
    text: str
    line: int


def name(page: Path) -> str:
    """`page` as seen from the top of the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Fenced code blocks: language, text, and the line of the page that they begin on."""
    text = page.read_text(encoding="utf-8")
    return [Block(one[3].strip(), one[4], text.count("\n", 0, one.start()) + 1) for one in _FENCE.finditer(text)]


def prose(text: str) -> Iterator[str]:
    """Paragraphs and list items of a page, one line each; no headings, tables, code, comments."""
    text = re.sub(r"<!--.*?-->", "", _FENCE.sub("", text), flags=re.DOTALL)
    text = re.sub(r"^(?: {4,}|\t)(?![-*\d ]).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "\n\n", text, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        if line and line[0] not in "#|<!" and not line.startswith(("---", ":::")):
            yield line


def sentences(text: str) -> Iterator[list[str]]:
    """The words of each sentence; a piece of code counts as one word, a link as its text."""
    for paragraph in prose(text):
        plain = re.sub(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)", r"\1", re.sub(r"`+[^`]+`+", "Code", paragraph))
        for sentence in _END.split(plain):
            words = [word for word in sentence.split() if re.search(r"\w", word)]
            if words:
                yield words
