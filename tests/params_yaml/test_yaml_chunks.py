"""Texts that are mostly alike are read as each would be by itself, errors included."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from assay.core import yaml12
from assay.core.errors import UsageError
from assay.core.yaml_chunks import LONGEST, ChunkReader

LINES = """a: 1|b: [1, 2]|c: {x: 1,|  y: 2}|d:|  e: 1.0e-3|  - 1|- 2|# said|  # indented||a: 2|"f": 1|g: >-|  text
h: "open|close"|i: &x {y: 1}|j: *x|<<: {z: 1}|k: &x 2|---|...|%YAML 1.1|word|  a: 3|true: 1|1: 2|? q|: r|l: plain
  goes on|m: 'it''s|n: 0x1f|o: 123456789012345678901234567890|p:	tab|_q: ~|é: 1|s: '|  keep""".replace(
    "\n", "|"
).split("|")


def said(parse: Callable[[Any], dict[str, Any]], text: str | bytes) -> str:
    try:
        found = parse(text)
    except UsageError as error:
        return error.sentence
    return repr(found)


def test_whatever_is_written_is_read_as_a_whole_would_be() -> None:
    draw, reader = random.Random(18), ChunkReader()
    good = 0
    for _ in range(3_000):
        text = "\n".join(draw.choices(LINES, k=draw.randint(1, 6))) + draw.choice(["", "\n", "\n\n"])
        whole = said(yaml12.parse, text)
        assert said(reader.parse, text) == whole, text
        good += whole.startswith("{")
    assert good > 100


@pytest.mark.parametrize("text", ["", "# nothing\n", "a: 1\r\nb: 2\r\n", "\ufeffa: 1\nb: 2\n", "a: 1\nb: \x00\n"])
def test_odd_texts(text: str) -> None:
    assert said(ChunkReader().parse, text) == said(yaml12.parse, text)


def test_bytes_that_are_no_text_and_texts_that_are_long() -> None:
    long = "".join(f"key{number}: 1\n" for number in range(LONGEST))
    for content in (b"a: 1\n\xff: 2\n", long.encode(), "a: \ud800\nb: 1\n"):
        assert said(ChunkReader().parse, content) == said(yaml12.parse, content)


def test_equal_parts_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    whole = yaml12.parse

    def counted(text: str) -> dict[str, Any]:
        asked.append(text)
        return whole(text)

    monkeypatch.setattr(yaml12, "parse", counted)
    reader = ChunkReader()
    for number in range(50):
        text = f"# head\nlr: {number}\nmodel:\n  hidden: 4\n# tail\nseed: 1\n"
        assert reader.parse(text) == {"lr": number, "model": {"hidden": 4}, "seed": 1}
    assert len(asked) == 52
