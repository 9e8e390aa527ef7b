"""Text that others wrote, made fit to be shown: no terminal, table, page or spreadsheet takes it for a command.

Covers: control characters, escape sequences and bytes that are no text; lines of its own; Markdown, CSV, HTML; cutting
what is long. Not covered: printing.
"""

from __future__ import annotations

import re

#: characters that a sentence shows of one text before it is cut
LONGEST = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: what begins a tag, a comment or the end of a script in HTML
_TAG = re.compile(r"<(?=[/!?A-Za-z])")

#: what means something in a line of Markdown wherever it stands, and at its beginning
_MARKS = re.compile(r"[\\`*_\[\]~|>]")
_BEGINS = re.compile(r"^(\s*|\s*\d+)([#+=.)-])")
#: @name, #12, GH-12; addresses that GitHub makes links of by itself
_MENTION = re.compile(r"@|#(?=\d)|\bGH-(?=\d)|\b(?:https?|ftp|mailto):|\bwww(?=\.)", re.IGNORECASE)
#: what GitHub takes for a commit
_COMMIT = re.compile(r"\b[0-9a-f]{7,64}\b", re.IGNORECASE)
_NOTHING = "<!-- -->"


def lines(text: str) -> str:
    """`text` with its lines, and a space for whatever else is not printable: terminals obey some of it."""
    return "\n".join(line if line.isprintable() else _blank(line) for line in text.split("\n"))


def line(text: str) -> str:
    """`text` on one printable line."""
    return text if text.isprintable() else _blank(text)


def _blank(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def cut(text: str, most: int) -> str:
    """At most `most` characters of `text`: the beginning and the end, as what is wrong may stand at either."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 3]} … {text[len(text) - end :]}"


def command(text: str) -> str:
    """A shell's command on one printable line, with the same meaning: what is not printable stands in $'…'."""
    return "".join(letter if letter.isprintable() else f"'$'{_escaped(letter)}''" for letter in text)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\U{code:08x}"


def markdown(text: str) -> str:
    """One line of Markdown without HTML and links; other marks stay."""
    return line(text).replace("<", "&lt;").replace("](", "]\\(").replace("][", "]\\[")


def markdown_cell(text: str) -> str:
    """Text that cannot break out of a Markdown table, nor mean anything in it."""
    plain = line(text).replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")
    return plain.replace("<", "&lt;").replace("](", "]\\(").replace("][", "]\\[")


def comment(text: str) -> str:
    """One line of a comment on GitHub in which nothing is a mark, a link, a mention, a number of an issue or a commit.

    An empty HTML comment stands where a name, a number or a hash would begin to mean something.
    """
    plain = _MARKS.sub(r"\\\g<0>", line(text)).replace("&", "&amp;").replace("<", "&lt;")
    plain = _BEGINS.sub(r"\1\\\2", plain)
    plain = _COMMIT.sub(lambda found: f"{found[0][:6]}{_NOTHING}{found[0][6:]}", plain)
    return _MENTION.sub(rf"\g<0>{_NOTHING}", plain)


def csv_cell(value: object) -> object:
    """`value` as no spreadsheet takes it for a formula, and no HTML page for a tag; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = _TAG.sub("‹", value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
