"""Foreign values in a sentence: written as Python writes them, and cut where they are long."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 80


def excerpt(value: object) -> str:
    """`repr(value)`, or its beginning and its length."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}… ({len(text):,} characters)"


def excerpt_of_name(name: str) -> str:
    """A key or path without quotes around it."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}… ({len(name):,} characters)"


def listed(names: Iterable[str], most: int = 12) -> str:
    """The first `most` names, and how many there are where these are not all."""
    known = list(names)
    return ", ".join(known[:most]) + (f", … ({len(known)} in all)" if len(known) > most else "")
