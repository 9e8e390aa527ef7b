"""Console blocks of a page: the commands that it shows, whether a run says the same, and the page with today's output.

In a block ```console or ```text a line `$ COMMAND` is a command, the lines below it are what it prints, on both
streams. A line `…` stands for any lines, `…` in a line for any text. Blank lines, the width of columns, and dates do
not count. Numbers with a fraction, shares in percent and counts of examples may differ by one unit of their last
digit; everything else is the same to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher

ANY = "…"
_FRACTION = r"\d+\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+"
_COUNTED = r"\d+(?=\s?%| examples | broken)"
#: a number that chance or another machine may move; not the one in `accuracy-1.d5fcde12`
_NUMBER = re.compile(rf"(?<![\w.])(?<!\w-)[+-]?(?:{_FRACTION}|{_COUNTED})(?!\w)")
_PIECE = re.compile(rf"{ANY}|{_NUMBER.pattern}")
_ANY_NUMBER = r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
#: lines that are less alike than this are about different things
_ALIKE = 0.6


@dataclass(frozen=True)
class Shown:
    """A command of a page and the lines that the page shows below it; `first` is the place of the first of them."""

    command: str
    lines: tuple[str, ...]
    first: int
    section: str


def commands(page: str) -> Iterator[Shown]:
    """The commands of all console blocks, in order."""
    section, inside, command, first, lines = "", False, "", 0, list[str]()
    for number, line in enumerate(page.splitlines()):
        if not inside:
            section = line[3:] if line.startswith("## ") else section
            inside, command = line in ("```console", "```text"), ""
        elif line == "```" or line.startswith("$ "):
            if command:
                yield Shown(command, tuple(lines), first, section)
            inside, command, first, lines = line != "```", line[2:], number + 1, []
        else:
            lines.append(line)


def difference(shown: Sequence[str], said: Sequence[str]) -> str:
    """The first thing in which `said` is not what a page shows; empty where it is."""
    output = [line for line in map(_plain, said) if line]
    reached = {0}
    for line in filter(None, map(_plain, shown)):
        if line == ANY:
            reached = set(range(min(reached), len(output) + 1))
            continue
        now = {place + 1 for place in reached if place < len(output) and same(line, output[place])}
        if not now:
            nearest = max(output, key=lambda other: _likeness(line, other), default="nothing at all")
            return f"shown: {line}\nsaid:  {nearest}"
        reached = now
    return "" if len(output) in reached else f"said, and not shown: {output[min(reached)]}"


def same(shown: str, said: str) -> bool:
    """Whether two lines are the same, up to `…` in `shown` and one unit of the last digit of each number."""
    numbers, pattern, end = list[str](), "", 0
    shown, said = _plain(shown), _plain(said)
    for piece in _PIECE.finditer(shown):
        pattern += re.escape(shown[end : piece.start()])
        pattern += ".*" if piece[0] == ANY else _ANY_NUMBER
        numbers += [] if piece[0] == ANY else [piece[0]]
        end = piece.end()
    found = re.fullmatch(pattern + re.escape(shown[end:]), said)
    return found is not None and all(map(_near, numbers, found.groups()))


def _near(shown: str, said: str) -> bool:
    one, other = Decimal(shown), Decimal(said)
    unit = max(Decimal(1).scaleb(int(number.as_tuple().exponent)) for number in (one, other))
    return abs(one - other) <= unit


def _plain(line: str) -> str:
    """A line without what is layout: widths of columns, rules under headings, dates."""
    return _DATE.sub("DATE", re.sub(r"-{2,}", "--", " ".join(line.split())))


def updated(page: str, said: dict[str, Sequence[str]]) -> str:
    """The page with each shown line replaced by the line of the run that it stands for; `…` stays.

    Lines of the run between two shown ones are added, lines without a counterpart are dropped.
    """
    lines = page.splitlines()
    for shown in reversed(list(commands(page))):
        if shown.command in said:
            place = slice(shown.first, shown.first + len(shown.lines))
            lines[place] = _rewritten(shown.lines, [line.rstrip() for line in said[shown.command]])
    return "\n".join(lines) + "\n"


def _rewritten(shown: Sequence[str], said: Sequence[str]) -> list[str]:
    made, last, hidden = list[str](), 0, False
    counterparts = _aligned([line for line in shown if line != ANY], said)
    for line in shown:
        if line == ANY:
            made, hidden = [*made, *([] if hidden else [ANY])], True
            continue
        place = next(counterparts)
        if place is None:
            continue
        if not hidden:
            made += said[last:place]
        abridged = ANY in line and same(line, said[place])
        made, last, hidden = [*made, line if abridged else said[place]], place + 1, False
    return made if hidden or not shown else [*made, *said[last:]]


def _aligned(shown: Sequence[str], said: Sequence[str]) -> Iterator[int | None]:
    """For each shown line the place of its counterpart: in order, as alike as can be in sum."""
    best = [[0.0] * (len(said) + 1) for _ in range(len(shown) + 1)]
    likeness = [[_likeness(one, other) for other in said] for one in shown]
    for row in reversed(range(len(shown))):
        for column in reversed(range(len(said))):
            taken = likeness[row][column] + best[row + 1][column + 1] if likeness[row][column] > _ALIKE else 0.0
            best[row][column] = max(taken, best[row + 1][column], best[row][column + 1])
    column = 0
    for row in range(len(shown)):
        while column < len(said) and best[row][column] == best[row][column + 1]:
            column += 1
        if column < len(said) and best[row][column] > best[row + 1][column]:
            yield column
            column += 1
        else:
            yield None


def _likeness(one: str, other: str) -> float:
    """How alike two lines are apart from their numbers, from 0 to 1; up to where the first is abridged."""
    head = _plain(one.partition(ANY)[0])
    plain = (re.sub(r"\d+", "0", line) for line in (head, _plain(other)[: len(head)] if ANY in one else _plain(other)))
    return SequenceMatcher(None, *plain, autojunk=False).ratio()
