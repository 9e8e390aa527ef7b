"""Standard output and standard error that never end what they report on.

Covers: characters that the encoding lacks, a reader that is gone, a stream that is closed or full. Set up once,
at the roots (stages, command line, worker processes). Not covered: what is printed.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

#: name of the error handler, as `str.encode(…, errors=HANDLER)` takes it
HANDLER = "assay.readable"

#: what we print beyond ASCII → what stands in for it
_ASCII = {
    "→": "->",
    "…": "...",
    "–": "-",
    "−": "-",
    "·": "|",
    "≥": ">=",
    "≤": "<=",
    "±": "+-",
    "×": "x",
}


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Stand-ins in ASCII for characters that cannot be encoded; half a surrogate pair is a byte of some file's name."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    escaped = (_ASCII.get(one) or one.encode("ascii", "backslashreplace").decode() for one in missing)
    return "".join(escaped), error.end


codecs.register_error(HANDLER, _readable)


class _Descriptor(io.FileIO):
    """A file descriptor whose first failure is kept in `trouble`; what is written after it goes nowhere."""

    trouble: OSError | None = None

    def write(self, content: object, /) -> int:
        try:
            return super().write(content)  # type: ignore[arg-type]
        except BlockingIOError:
            raise
        except OSError as error:
            self.trouble = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # child processes, too, meet a stream that takes everything
            os.close(nowhere)
            return super().write(content)  # type: ignore[arg-type]


def make_lenient() -> None:
    """Give this process streams that encode anything and outlive their reader. A second call changes nothing."""
    _fill_closed()
    sys.stdout = _lenient(sys.stdout, 1)
    sys.stderr = _lenient(sys.stderr, 2)


def trouble() -> OSError | None:
    """Why standard output could not be written to its end; None where it was, or where its reader had enough."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    found = getattr(_raw(sys.stdout), "trouble", None)
    return found if isinstance(found, OSError) and not isinstance(found, BrokenPipeError) else None


def _fill_closed() -> None:
    """Open descriptors 0, 1 and 2 where they are closed, else the first file that we open would become our output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _lenient(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # it was closed when Python started
        return open(number, "w", encoding="utf-8", errors=HANDLER, closefd=False)
    if not isinstance(stream, io.TextIOWrapper) or isinstance(_raw(stream), _Descriptor):
        return stream
    if sys.platform == "win32" and stream.isatty():  # a console takes all of Unicode
        return stream
    try:
        stream.flush()
        raw = _Descriptor(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # no file of the system's, as under a test runner
        return stream
    lines = stream.line_buffering or stream.write_through
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, HANDLER, line_buffering=lines)


def _raw(stream: TextIO) -> object:
    return getattr(getattr(stream, "buffer", None), "raw", None)
