"""Many YAML texts that are mostly alike, such as params.yaml of a thousand experiments: equal parts are parsed once.

Covers: texts whose top level is written a key a line, cut before each of these lines. Every other text is parsed as a
whole, so that the result, or the error, is always that of `core.yaml12.parse`.
"""

from __future__ import annotations

import re
from typing import Any

from assay.core import yaml12
from assay.core.errors import UsageError
from assay.core.paths import PARAMS

#: characters of a text that is cut; more may hold more values than a part by itself shows
LONGEST = 20_000
_KEY_LINE = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
#: what only a whole text decides: ends of documents, merge keys, anchors
_WHOLE = re.compile(r"^(?:---|\.\.\.)|<<|&", re.MULTILINE)
_COMMENTS = re.compile(r"(?:[ ]*(?:#.*)?\n)*")


class ChunkReader:
    """Remembers the parts that it has parsed. What it returns shares values with later results, and is not changed."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any] | None] = {}

    def parse(self, content: bytes | str, where: str = PARAMS) -> dict[str, Any]:
        """As `yaml12.parse`. Raises UsageError."""
        found = self._joined(content)
        return yaml12.parse(content, where) if found is None else found

    def _joined(self, content: bytes | str) -> dict[str, Any] | None:
        """All parts together; None where they may say something else than the whole."""
        try:
            text = content.decode() if isinstance(content, bytes) else content
        except UnicodeDecodeError:
            return None
        if len(text) > LONGEST or _WHOLE.search(text):
            return None
        before, *parts = _KEY_LINE.split(text)
        if not parts or not _COMMENTS.fullmatch(before):
            return None
        joined: dict[str, Any] = {}
        for part in parts:
            found = self._part(part)
            if found is None or not joined.keys().isdisjoint(found):
                return None
            joined |= found
        return joined

    def _part(self, text: str) -> dict[str, Any] | None:
        if text not in self._known:
            try:
                self._known[text] = yaml12.parse(text)
            except UsageError:
                self._known[text] = None
        return self._known[text]
