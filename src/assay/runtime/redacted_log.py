"""The log of a foreign command: what it prints, as it prints it, with secrets of the environment masked.

Covers: values of variables that are named like a key, a token, a secret or a password. Not covered: secrets that a
command reads from files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO

#: parts of the names of variables whose values no log shows
SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
MASK = b"***"
#: a value shorter than this is no secret, and would mask half of what is printed
_SHORTEST = 4
#: bytes of a line without an end that are held back at most
_LONGEST = 65_536


def secrets(environment: Mapping[str, str]) -> list[bytes]:
    """Texts to mask, longest first; each line of a value of several lines is one."""
    values = [value for name, value in environment.items() if any(part in name.upper() for part in SECRET)]
    lines = {line.strip() for value in values for line in (value, *value.split("\n"))}
    found = [line.encode("utf-8", "surrogateescape") for line in lines]
    return sorted((line for line in found if len(line) >= _SHORTEST), key=lambda line: (-len(line), line))


def copy(stream: IO[bytes], path: Path, hidden: list[bytes]) -> None:
    """All of `stream` into `path`, masked, line by line as it comes."""
    masking = Masking(hidden)
    with path.open("wb", buffering=0) as log:
        while chunk := stream.read1(65_536):  # type: ignore[attr-defined]
            log.write(masking.take(chunk))
        log.write(masking.rest())


class Masking:
    """What a command prints, piece by piece: each secret is masked as a whole, wherever the pieces cut it."""

    def __init__(self, hidden: list[bytes]) -> None:
        self._hidden, self._held = hidden, b""
        self._longest = max(map(len, hidden), default=1)

    def take(self, piece: bytes) -> bytes:
        """What can be shown by now: up to the end of a line, more where a line is very long."""
        held = self._held + piece
        end = max(held.rfind(b"\n"), held.rfind(b"\r")) + 1
        if not end and len(held) > _LONGEST:
            held = masked(held, self._hidden)
            end = len(held) - self._longest
        self._held = held[end:]
        return masked(held[:end], self._hidden)

    def rest(self) -> bytes:
        """What is left at the end."""
        return masked(self._held, self._hidden)


def masked(text: bytes, hidden: list[bytes]) -> bytes:
    """`text` with a mark in place of each secret."""
    for secret in hidden:
        text = text.replace(secret, MASK)
    return text


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines that say something."""
    try:
        content = path.read_bytes()[-_LONGEST:]
    except OSError:
        return []
    lines = content.decode("utf-8", "replace").replace("\r", "\n").split("\n")
    return [line.strip() for line in lines if line.strip()][-count:]
