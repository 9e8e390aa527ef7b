"""The one place of the command line that prints: what others wrote cannot reach a terminal or a page as a command."""

from __future__ import annotations

import json

import click

from assay.cli.commands_as_typed import located
from assay.core import sanitize_output


def show(text: str, *, err: bool = False) -> None:
    """Print lines of text, on stderr if `err`."""
    click.echo(sanitize_output.lines(located(text)), err=err)


def redraw(text: str, lines: int, *, keep: bool = False) -> int:
    """Print `text` on a terminal in place of the last `lines` lines; how many lines the next call replaces, none of
    these if `keep`."""
    back = f"\x1b[{lines}F\x1b[J" if lines else ""
    click.echo(back + (f"{sanitize_output.lines(located(text))}\n" if text else ""), nl=False)
    return 0 if keep or not text else text.count("\n") + 1


def show_json(content: str | bytes) -> None:
    """Print one JSON object; what a terminal or an HTML page would obey is written as \\u and its number."""
    text = content if isinstance(content, str) else content.decode()
    click.echo("".join(map(_inert, located(text.removesuffix("\n")))))


def _inert(letter: str) -> str:
    return letter if (letter.isprintable() and letter != "<") or letter == "\n" else _escaped(letter)


def _escaped(letter: str) -> str:
    return "\\u003c" if letter == "<" else json.dumps(letter)[1:-1].replace("\x7f", "\\u007f")


def examples(*commands: str) -> str:
    """The last lines of a command's help: each example on a line of its own, to be copied as it stands."""
    return "\n".join(("\b", "Example:" if len(commands) == 1 else "Examples:", *(f"  {one}" for one in commands)))
