"""A hook of mkdocs: sources for the reference, as a copy in which each folder has an __init__.py.

The folders of src/assay have none, which Python takes; the reader of mkdocstrings passes over such folders.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

SOURCES = Path(__file__).parents[1] / "src" / "assay"
_made: list[Path] = []


@event_priority(100)  # before mkdocstrings takes its paths
def on_config(config: Any) -> Any:
    folder = Path(tempfile.mkdtemp(prefix="assay-sources-"))
    _made.append(folder)
    shutil.copytree(SOURCES, folder / "assay", ignore=shutil.ignore_patterns("__pycache__", "templates"))
    for each in [folder / "assay", *(folder / "assay").rglob("*/")]:
        if each.is_dir():
            (each / "__init__.py").touch()
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(folder)]
    return config


def on_post_build(config: Any) -> None:
    for folder in _made:
        shutil.rmtree(folder, ignore_errors=True)
