"""README and CI say the same, and every link in the documentation leads somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import walkthrough

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[str]:
    """The lines of the README's section with the two commands."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Two commands")[1].split("\n## ")[0]
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]


def test_two_commands_of_one_line_each() -> None:
    assert len(commands()) == 2
    assert not [command for command in commands() if "\n" in command]


def test_ci_runs_the_readmes_test_command_last() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert lines[-1] == commands()[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


def test_ci_walks_the_day_before_it() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert ".venv/bin/python tests/walkthrough.py" in lines[:-2]


def test_ci_runs_the_extra_tests_before_it() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert lines[-2].endswith('python -m pytest -n 2 -m extra --part "$part/3"')


def words() -> list[str]:
    """The words that docs/concepts.md explains."""
    rows = re.findall(r"^\| (\*\*.*?) \|", (ROOT / "docs/concepts.md").read_text(encoding="utf-8"), re.MULTILINE)
    return [word for row in rows for word in re.findall(r"\*\*(.+?)\*\*", row)]


def test_no_word_is_used_before_it_is_said() -> None:
    """Above the link to the page of words each stands in italics where it is said, or not at all."""
    above, link, _ = (ROOT / "README.md").read_text(encoding="utf-8").partition("(docs/concepts.md)")
    unsaid = [word for word in words() if re.sub(rf"\*{word}\*.*", "", above, flags=re.DOTALL).count(word)]
    assert link and len(words()) >= 12 and not unsaid


def test_the_page_of_words_is_first_on_the_list() -> None:
    listed = (ROOT / "README.md").read_text(encoding="utf-8").split("## More")[1]
    assert listed.strip().startswith("[docs/concepts.md]")


def test_the_picture_has_every_stage_in_its_order() -> None:
    picture = (ROOT / "docs/concepts.md").read_text(encoding="utf-8").split("```text")[1]
    stages = re.findall(r"^  (\w+):", (ROOT / "dvc.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    places = [picture.index(f" {stage} ─") for stage in stages]
    assert len(stages) >= 6 and places == sorted(places)


@pytest.mark.extra
def test_the_table_of_experiments_fits_130_columns(tmp_path: Path) -> None:
    """With what the README drops, two experiments in a fresh clone."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if line.startswith("    dvc exp show"))
    project = walkthrough.clone(tmp_path)
    for lr in ("1e-3", "1e-2"):
        project.dvc("exp", "run", "-S", f"lr={lr}", "-S", "replicates=3")
    shown = project.run(*shlex.split(command), "--no-pager", COLUMNS="400").stdout
    assert shown.count("accuracy-1.") == 3
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 130
