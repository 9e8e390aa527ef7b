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
#: test that is written beside the task; no name that a user's own test has, as pytest takes but one of each
TEST = "tests/test_assay_task.py"
#: what draws the curves of both arms on one axis: a dvc.yaml without stages, so that no file of the user's is edited
CURVES, CURVES_TEXT = "plots/dvc.yaml", "curves.dvc.yaml"
#: line of dvc.yaml that makes the data a dependency of `prepare`; `path` stands for the keys that are read
_DATA_LINE = "      - ${data.path}\n"
#: lines that keep what each replicate of a loop prints
_LOG_LINES = ("      - logs/baseline\n", "      - logs/candidate\n")
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True)
class Template:
    """One kind of task. `files` maps what is written in the project's folder to its text in `assay/templates`."""

    says: str  # what it is for, in a few words
    files: Mapping[str, str]
    metric: str
    test: str = ""  # text of a test of the task, written to `TEST` where that is free
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    reads: tuple[str, ...] = ()  # keys of `data:` that are paths, on which `prepare` depends
    epochs: int = 20
    prints: bool = False  # whether each replicate has a log of its own
    packages: tuple[str, ...] = ()  # modules that it needs beside Assay's own requirements
    pipeline: str = PIPELINE
    parameters: str = PARAMS

    @property
    def draws_curves(self) -> bool:
        """Whether its stages write curves of both arms."""
        return self.pipeline == PIPELINE

    @property
    def extra(self) -> str:
        """The extra of dvc-assay that it needs; "" where that is none."""
        return "ready" if self.packages else ""


_TABLES, _IMAGES = ("pyarrow", "pandas"), ("PIL", "pyarrow")

#: name → template; all but the last two import a ready task
TEMPLATES: dict[str, Template] = {
    "image": Template(
        "images, a folder for each class",
        {"task.py": "image.task.txt"},
        metric="accuracy",
        test="image.test.txt",
        model={"width": 16},
        data={"size": 32},
        reads=("folder",),
        epochs=10,
        packages=_IMAGES,
    ),
    "masks": Template(
        "images and a mask of each",
        {"task.py": "masks.task.txt"},
        metric="iou",
        test="masks.test.txt",
        model={"width": 16},
        data={"size": 64},
        reads=("images", "masks"),
        epochs=10,
        packages=_IMAGES,
    ),
    "table": Template(
        "a table whose label is a class",
        {"task.py": "table.task.txt"},
        metric="accuracy",
        test="table.test.txt",
        model={"hidden": 64},
        data={"kind": "classification"},
        reads=("file",),
        packages=_TABLES,
    ),
    "regression": Template(
        "a table whose label is a number",
        {"task.py": "table.task.txt"},
        metric="mae",
        test="regression.test.txt",
        model={"hidden": 64},
        data={"kind": "regression"},
        reads=("file",),
        packages=_TABLES,
    ),
    "text": Template(
        "texts and their classes",
        {"task.py": "text.task.txt"},
        metric="accuracy",
        test="text.test.txt",
        model={"width": 32},
        reads=("file",),
        epochs=10,
        packages=_TABLES,
    ),
    "tokens": Template(
        "a language model of one text",
        {"task.py": "tokens.task.txt"},
        metric="nats_per_token",
        test="tokens.test.txt",
        model={"width": 64},
        data={"length": 64},
        reads=("file",),
        epochs=10,
    ),
    "loop": Template(
        "a training loop of your own",
        {"task.py": "loop.task.txt"},
        metric="accuracy",
        test="loop.test.txt",
        model={"hidden": 32},
        epochs=5,
        prints=True,
    ),
    "script": Template(
        "a script of your own, which reports its number",
        {},
        metric="",
        test="script.test.txt",
        pipeline="script/dvc.yaml",
        prints=True,
        parameters="script/params.yaml",
    ),
}

#: for a task that the user has written: nothing is written for it
OWN = Template("a task of your own", {}, metric="", epochs=20)

#: what a few keys of `data:` and `model:` mean, beside their values in params.yaml
_MEANINGS = {
    "file": "where the data lie, as seen from this file",
    "folder": "where the data lie, as seen from this file",
    "images": "where the data lie, as seen from this file",
    "masks": "files of the images' names; a pixel is a class",
    "target": "the column to predict",
    "text": "the column to read",
    "delimiter": "between two columns",
    "drop": "columns that no model sees",
    "kind": "classification, regression",
    "size": "pixels a side that each image is resized to",
    "length": "characters in a window",
    "width": "of the first layer; later ones follow from it",
    "hidden": "width of the hidden layers",
}


def named(name: str) -> Template:
    return TEMPLATES.get(name, OWN)


def text(name: str) -> str:
    """A file of the package data."""
    return (PLACE / name).read_text(encoding="utf-8")


def is_ours(content: bytes) -> bool:
    """Whether it is a file that a template writes, unchanged."""
    names = (name for one in TEMPLATES.values() for name in (*one.files.values(), *filter(None, [one.test])))
    return any(content == (PLACE / name).read_bytes() for name in names)


def pipeline(template: Template, *, reads: bool) -> str:
    """dvc.yaml; with `reads`, `prepare` depends on the data that the template reads."""
    found = text(template.pipeline)
    for line in () if template.prints else _LOG_LINES:
        found = found.replace(line, "")
    lines = "".join(_DATA_LINE.replace("data.path", f"data.{key}") for key in template.reads if reads)
    return found.replace(_DATA_LINE, lines)


def params(template: Template, task: str, data: Mapping[str, Any], metric: str = "") -> str:
    """params.yaml of a task called `task`, with these keyword arguments of its prepare()."""
    filled = text(template.parameters)
    values = {
        "TASK": task,
        "DATA": _lines({**data, **template.data} if set(template.reads) & set(data) else data),
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
