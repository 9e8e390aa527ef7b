"""The line by which other checkouts install Assay: appended to requirements.txt, named for pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

FILE = "requirements.txt"
_ASKED = re.compile(rb"^[ \t\"']*dvc[-_.]assay\b", re.MULTILINE | re.IGNORECASE)


def line(extra: str) -> str:
    """What a requirement of Assay looks like."""
    return f"dvc-assay[{extra}]" if extra else "dvc-assay"


def is_open(folder: Path) -> bool:
    """Whether requirements.txt is there and takes a plain line: pip refuses one without a hash among others."""
    place = folder / FILE
    content = place.read_bytes() if place.is_file() else b""
    return place.is_file() and not _ASKED.search(content) and b"--hash" not in content


def to_name(folder: Path, extra: str) -> str:
    """What a person should add by hand; "" where nothing is lacking or nobody lists requirements."""
    if is_open(folder) or any(_asks(folder / name) for name in (FILE, "pyproject.toml")):
        return ""
    if (folder / FILE).is_file():
        return f"add {line(extra)} with its hash to {FILE}"
    there = (folder / "pyproject.toml").is_file()
    return f'add "{line(extra)}" to the dependencies in pyproject.toml' if there else ""


def _asks(place: Path) -> bool:
    return place.is_file() and bool(_ASKED.search(place.read_bytes()))
