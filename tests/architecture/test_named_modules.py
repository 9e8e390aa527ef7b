"""Modules and files that pages and docstrings name: each exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from support import pages

ROOT = pages.ROOT
SOURCES = ROOT / "src/assay"
MODULES = {file.relative_to(SOURCES).with_suffix("").as_posix().replace("/", ".") for file in SOURCES.rglob("*.py")}
PACKAGES = {name.rpartition(".")[0] for name in MODULES} - {""}
#: names of all files of code in the repository
NAMES = {file.name for top in ("src", "tests", "benchmarks", "docs") for file in (ROOT / top).rglob("*.*")}
#: folders that are sections of params.yaml, files or words of a task, too
AMBIGUOUS = {"data", "metrics", "baseline"}
#: files of a task or of somebody else that a page speaks of
FOREIGN = {
    "task.py",
    "data.py",
    "learning.py",
    "metrics.py",
    "train.py",
    "predict.py",
    "torch.py",
    "mmap.py",
    "queue.py",
    "test_assay_task.py",
}
TEXTS = [*pages.PAGES, ROOT / "dvc.yaml", ROOT / "params.yaml", *SOURCES.rglob("*.py")]


def modules(text: str) -> Iterator[str]:
    """Dotted names of ours that stand as a piece of code."""
    for whole, first in re.findall(r"`(?:assay\.)?((\w+)(?:\.\w+)+)(?:\(\))?`", text):
        if first in PACKAGES and (first not in AMBIGUOUS or f"`assay.{whole}" in text):
            yield whole
    for name in re.findall(r"(?:^|[\s(])from assay\.([\w.]+) import|:{3} assay\.([\w.]+)", text):
        yield name[0] or name[1]


def exists(name: str) -> bool:
    """A package, a module, or something in a module."""
    head = name
    while head:
        if head in MODULES or head in PACKAGES:
            rest = name.removeprefix(head).lstrip(".").split(".")[0]
            return not rest or head in PACKAGES or bool(re.search(rf"\b{rest}\b", _source(head)))
        head = head.rpartition(".")[0]
    return False


def _source(module: str) -> str:
    return (SOURCES / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")


def files(text: str) -> Iterator[str]:
    for name in re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|sh))`", text):
        if Path(name).name not in FOREIGN:
            yield name
    ours = re.findall(r"\b(?:src/)?assay/[\w/]+\.py", text)
    # not those of a project that lies in a folder `assay`
    yield from (name for name in ours if Path(name).name not in FOREIGN)


def file_exists(name: str) -> bool:
    bare = name.removeprefix("src/").removeprefix("assay/")
    found = [ROOT / name, SOURCES / bare, ROOT / "src" / name]
    return any(path.is_file() for path in found) or ("/" not in name and name in NAMES)


def test_what_is_named_exists() -> None:
    missing = []
    for where in TEXTS:
        text = where.read_text(encoding="utf-8")
        gone = [name for name in modules(text) if not exists(name)]
        gone += [name for name in files(text) if not file_exists(name)]
        missing += [f"{pages.name(where)}: {name}" for name in gone]
    assert not missing
