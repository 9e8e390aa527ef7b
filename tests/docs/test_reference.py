"""docs/reference against the code that it is made from, and all pages as a site."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import assay
from support import pages

ROOT = pages.ROOT
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["parameters.md", "commands.md"])
def test_pages_are_what_the_code_says(name: str, made: dict[str, str]) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == made[name], "run: python docs/generate.py"


def test_each_parameter_has_a_meaning(made: dict[str, str]) -> None:
    rows = [line.split(" | ") for line in made["parameters.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    assert not [row[0] for row in rows if not row[-1].strip(" |")], "write a comment beside the field"


def test_each_public_name_is_in_the_reference() -> None:
    page = (REFERENCE / "python.md").read_text(encoding="utf-8")
    assert not [name for name, module in assay.PUBLIC.items() if f"\n::: {module}.{name}\n" not in page]


def test_each_ready_task_is_in_the_reference() -> None:
    """Modules of assay.ready whose members a task imports: those that make examples, batches or metrics."""
    page = (REFERENCE / "python.md").read_text(encoding="utf-8")
    sources = {file.stem: file.read_text(encoding="utf-8") for file in (ROOT / "src/assay/ready").glob("*.py")}
    members = re.compile(r"^def (prepare|collate|accuracy)\(", re.MULTILINE)
    ready = [name for name, text in sources.items() if members.search(text)]
    assert ready and not [name for name in ready if f"\n::: assay.ready.{name}\n" not in page]


def _listed(entries: Any) -> list[str]:
    if isinstance(entries, str):
        return [entries]
    return [page for one in (entries.values() if isinstance(entries, dict) else entries) for page in _listed(one)]


def test_each_page_is_in_the_list_of_pages() -> None:
    listed = _listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    there = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert len(listed) == len(set(listed)) and set(listed) == there, "add the page to nav in mkdocs.yml"


@pytest.mark.extra
def test_the_pages_build_as_a_site(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert not done.returncode, done.stdout + done.stderr
    built = (tmp_path / "site/reference/python.html").read_text(encoding="utf-8")
    assert 'id="assay.stats.arm_comparison.compare"' in built and "min_effect" in built
