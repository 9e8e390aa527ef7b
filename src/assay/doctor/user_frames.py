"""Lines of the user's own code that are running: what a loop finding names as its place.

Covers: which frames are the user's (not Python's, not an installed package's, not Assay's), and modules found in them.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from torch import nn

#: folders whose code is not the user's
LIBRARIES = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    str(Path(__file__).parents[1]),
)
#: most names and attributes that are looked at in search of a module
MOST = 2_000
_known: dict[str, bool] = {}
_places: dict[tuple[str, int], str] = {}


def is_users(filename: str) -> bool:
    known = _known.get(filename)
    if known is None:
        known = _known[filename] = not filename.startswith(("<frozen", *LIBRARIES)) and "site-packages" not in filename
    return known


def frames() -> Iterator[FrameType]:
    """The user's frames of this thread, innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def place(frame: FrameType | None = None) -> str:
    """`file.py:LINE` of a frame, by default of the user's innermost; '' where none is the user's."""
    frame = frame or next(frames(), None)
    if frame is None:
        return ""
    at = (frame.f_code.co_filename, frame.f_lineno)
    if at not in _places:
        _places[at] = f"{Path(at[0]).name}:{at[1]}"
    return _places[at]


def modules() -> list[nn.Module]:
    """Modules held by names in the user's frames, or by attributes of objects there, each once."""
    found: dict[int, nn.Module] = {}
    looked = 0
    for frame in frames():
        for held in (frame.f_locals, frame.f_globals):
            for value in list(held.values()):
                looked += 1
                for one in _within(value):
                    found.setdefault(id(one), one)
                if looked > MOST:
                    return list(found.values())
    return list(found.values())


def _within(value: Any) -> Iterator[nn.Module]:
    kind = type(value)  # never `isinstance`, which asks lazy objects to load themselves
    if issubclass(kind, nn.Module):
        yield value
        return
    if kind in (list, tuple):
        inside = list(value[:20])
    elif kind is dict:
        inside = list(value.values())[:20]
    else:
        held = getattr(value, "__dict__", None) if kind.__module__ != "builtins" and kind is not type else None
        inside = list(held.values())[:100] if type(held) is dict else []
    yield from (one for one in inside if issubclass(type(one), nn.Module))


def numbers_named() -> Iterator[tuple[str, Any]]:
    """Names in the user's innermost frame with their values, entries of dicts as `name['key']`."""
    frame = next(frames(), None)
    for name, value in list(frame.f_locals.items()) if frame is not None else []:
        yield name, value
        if type(value) is dict:
            yield from ((f"{name}[{key!r}]", one) for key, one in list(value.items())[:50])
