"""Scalars of YAML 1.2 as DVC's parser, ruamel.yaml, takes them: which plain text is what, and its value.

Against YAML 1.2.2, section 10.3.2, ruamel adds underscores, binary numbers and dates, and wants a sign in the
exponent of `.5e+3`. Not covered: collections, tags and errors of the whole text (`core.yaml12`).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

#: whole numbers that JSON records hold
WHOLE = range(-(2**63), 2**64)
_BASES = {"0b": 2, "0o": 8, "0x": 16}
_WORDS = {"true": True, "yes": True, "y": True, "on": True, "false": False, "no": False, "n": False, "off": False}

_DATE = r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
_TIME = r"(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]*))?"
_ZONE = r"[ \t]*(Z|([-+])([0-9]{1,2})(?::([0-9]{2}))?)"
_MOMENT = re.compile(f"{_DATE}(?:{_TIME}(?:{_ZONE})?)?")

#: kind → plain text that is of this kind, characters it begins with; the first that matches counts
PLAIN: dict[str, tuple[str, str]] = {
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "float": (
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "int": ("[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+", "-+0123456789"),
    "timestamp": (f"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|{_DATE}{_TIME}(?:{_ZONE})?", "0123456789"),
}


class LargeError(ValueError):
    """A whole number that no record can hold."""


def boolean(text: str) -> bool:
    return _WORDS[text.lower()]


def null(text: str) -> None:
    """Whatever is tagged as null is null."""


def whole(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits[1:] if digits[:1] in ("-", "+") else digits
    base = _BASES.get(digits[:2], 10)
    if len(digits) > 100:  # 64 bits take 66 characters; Python refuses to read some thousand decimal ones
        raise LargeError
    value = sign * int(digits[2:] if base != 10 else digits, base)
    if value not in WHOLE:
        raise LargeError
    return value


def real(text: str) -> float:
    return float(re.sub(r"^([-+]?)\.(inf|nan)$", r"\1\2", text.replace("_", "").lower()))


def moment(text: str) -> datetime.date:
    """A date, or a time rounded to the microsecond."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if match[4] is None:
        return datetime.date(year, month, day)
    fraction = f"{match[7] or ''}0000000"
    parts = datetime.timedelta(microseconds=int(fraction[:6]) + (fraction[6] > "4"))
    return datetime.datetime(year, month, day, hour, minute, second, tzinfo=_zone(match)) + parts


def _zone(match: re.Match[str]) -> datetime.timezone | None:
    if match[9] is None:
        return datetime.timezone.utc if match[8] else None
    away = datetime.timedelta(hours=int(match[10]), minutes=int(match[11] or 0))
    return datetime.timezone(-away if match[9] == "-" else away)


#: kind → how its text is read; what it raises says that the text is none
READERS: dict[str, Callable[[str], object]] = {
    "bool": boolean,
    "float": real,
    "int": whole,
    "null": null,
    "str": str,
    "timestamp": moment,
}
