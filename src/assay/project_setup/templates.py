"""Templates of `assay init`: for each kind of data, the files that it writes and what params.yaml says of it.

Their text is package data in `assay/templates`. Covers: the table, filling in a template. Not covered: which one fits
(`project_setup.guess_data`), where the files go (`project_setup.setup_plan`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.core.paths import PARAMS, PIPELINE

#: folder of the package data
PLACE = Path(__file__).resolve().parents[1] / "templates"
#: line of dvc.yaml that makes the data a dependency of `prepare`
_DATA_LINE = "      - ${data.path}\n"
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True)
class Template:
    """One kind of task. `files` maps what is written in the project's folder to its text in `assay/templates`."""

    says: str  # what it is for, in a few words
    files: Mapping[str, str]
    metric: str
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 20
    extra: str = ""  # extra of dvc-assay that it needs
    pipeline: str = PIPELINE
    parameters: str = PARAMS


#: name → template. The ready tasks take their place here; files of tests that come with one, too.
TEMPLATES: dict[str, Template] = {
    "image": Template(
        "images, a folder for each class",
        {"task.py": "image.task.txt"},
        metric="accuracy",
        model={"width": 16},
        data={"size": 32},
        epochs=10,
        extra="ready",
    ),
    "table": Template(
        "a table whose label is a class",
        {"task.py": "table.task.txt"},
        metric="accuracy",
        model={"hidden": 32},
    ),
    "text": Template(
        "texts and their classes",
        {"task.py": "text.task.txt"},
        metric="accuracy",
        model={"hidden": 32},
        data={"words": 1024},
        epochs=10,
    ),
    "regression": Template(
        "a table whose label is a number",
        {"task.py": "regression.task.txt"},
        metric="mae",
        model={"hidden": 32},
    ),
    "loop": Template(
        "a training loop of your own",
        {"task.py": "loop.task.txt"},
        metric="accuracy",
        model={"hidden": 32},
        epochs=5,
    ),
    "script": Template(
        "a script of your own, which reports its number",
        {},
        metric="",
        pipeline="script/dvc.yaml",
        parameters="script/params.yaml",
    ),
}

#: for a task that the user has written: nothing is written for it
OWN = Template("a task of your own", {}, metric="", epochs=20)

#: what a few keys of `data:` and `model:` mean, beside their values in params.yaml
_MEANINGS = {
    "path": "where the data lie, as seen from this file",
    "label": "the column to predict",
    "text": "the column to read",
    "delimiter": "between two columns",
    "ignore": "columns that are left out",
    "size": "pixels a side that each image is resized to",
    "words": "places that words are counted in",
    "width": "channels of the first layer",
    "hidden": "width of the hidden layer",
}


def named(name: str) -> Template:
    return TEMPLATES.get(name, OWN)


def text(name: str) -> str:
    """A file of the package data."""
    return (PLACE / name).read_text(encoding="utf-8")


def is_ours(content: bytes) -> bool:
    """Whether it is a file that a template writes, unchanged."""
    names = (name for template in TEMPLATES.values() for name in template.files.values())
    return any(content == (PLACE / name).read_bytes() for name in names)


def pipeline(template: Template, *, reads: bool) -> str:
    """dvc.yaml; with `reads`, `prepare` depends on `data.path`."""
    found = text(template.pipeline)
    return found if reads else found.replace(_DATA_LINE, "")


def params(template: Template, task: str, data: Mapping[str, Any], metric: str = "") -> str:
    """params.yaml of a task called `task`, with these keyword arguments of its prepare()."""
    filled = text(template.parameters)
    values = {
        "TASK": task,
        "DATA": _lines({**data, **template.data} if "path" in data else data),
        "MODEL": _lines(template.model),
        "EPOCHS": str(template.epochs),
        "METRIC": metric or template.metric,
        "COMMAND": str(data.get("command", "")),
    }
    for name, value in values.items():
        filled = filled.replace(f"@{name}@", value)
    return filled


def _lines(values: Mapping[str, Any]) -> str:
    rows = [(f"  {key}: {scalar(value)}", _MEANINGS.get(key, "")) for key, value in values.items()]
    wide = max((len(row) for row, _ in rows), default=0)
    return "\n".join(f"{row:{wide}}  # {means}" if means else row for row, means in rows) or "  {}"


def scalar(value: Any) -> str:
    """A value as YAML 1.2 writes it on one line; JSON is YAML."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS and value[0] != "."
    return str(value) if plain or _is_above(value) else json.dumps(value, ensure_ascii=False)


def _is_above(value: Any) -> bool:
    """Whether it is a plain path that begins with `../`."""
    return isinstance(value, str) and value.startswith("../") and bool(_PLAIN.fullmatch(value))


def task_name(path: str) -> str:
    """A name of letters, digits and _ for the task of the data at `path`."""
    name = re.sub(r"\W+", "_", Path(path).stem, flags=re.ASCII).strip("_").lower()
    return name if re.match(r"[a-z]", name) else "task"
