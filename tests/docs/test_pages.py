"""Links, anchors and code of the documentation: what a page shows exists."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from dvc.cli.parser import get_main_parser

from assay.cli.root import COMMANDS, LazyGroup
from support import pages

ROOT = pages.ROOT
EXTRAS = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = [
        re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", head) for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    ]
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """File and anchor of each link that stays inside the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield (page.parent / file if file else page), anchor


@pytest.mark.parametrize("page", [*pages.PAGES, ROOT / "CHANGELOG.md"], ids=pages.name)
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    broken = [f"{file.name}#{anchor}" for file, anchor in links(page) if not file.exists()]
    broken += [f"{file.name}#{anchor}" for file, anchor in links(page) if anchor and anchor not in anchors(file)]
    assert not broken


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_blocks_of_python_and_yaml(page: Path) -> None:
    for block in pages.blocks(page):
        if block.language == "python":
            ast.parse(block.text, f"{pages.name(page)}:{block.line}")
        elif block.language in ("yaml", "yml"):
            yaml.safe_load(block.text)
        else:
            assert block.language in ("", "sh", "console", "text", "json"), f"{pages.name(page)}:{block.line}"


def commands(page: Path) -> Iterator[str]:
    """Commands that a page shows: in blocks, in indented lines, in pieces of code."""
    for block in pages.blocks(page):
        lines = block.text.splitlines()
        if block.language == "sh":
            yield from (line for line in lines if line.strip())
        elif block.language == "console":
            yield from (line[2:] for line in lines if line.startswith("$ "))
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"^ {4}((?:assay|dvc|python|\.venv/bin/python) [^\n]+)$", text, re.MULTILINE)
    yield from re.findall(r"(?<!`)`((?:assay|dvc|python) [^`\n]+)`", text)


def parts(line: str) -> Iterator[list[str]]:
    """The words of each command of a line, without what the shell makes of it."""
    lexer = shlex.shlex(line.replace("…", ""), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    every = [*lexer, ";"]
    ends = [number for number, word in enumerate(every) if set(word) <= set("();<>|&")]
    for begin, end in zip([0, *(number + 1 for number in ends)], ends, strict=False):
        words = every[begin:end]
        while words and re.match(r"\w+=", words[0]):
            words = words[1:]
        if words:
            yield words


def problem(words: list[str]) -> str:
    """What is wrong with a command of ours, of DVC's, or one that starts a file of ours; "" where nothing is."""
    program = Path(words[0]).name
    if program == "assay":
        return _of_assay(words[1:])
    if program == "dvc":
        return _of_dvc(words[1:])
    if program in ("python", "python3") and len(words) > 1 and words[1].startswith(("benchmarks/", "tests/", "docs/")):
        return "" if (ROOT / words[1]).is_file() else f"no file {words[1]}"
    if program == "pip":
        asked = {extra for word in words for extra in (re.findall(r"\[([\w,]+)\]", word) or [""])[0].split(",")}
        return f"no extra {asked - EXTRAS - {''}}" if asked - EXTRAS - {""} else ""
    return ""


def _of_assay(words: list[str]) -> str:
    if not words or words[0].startswith("-") or words[0] in ("stage", "COMMAND"):
        return ""
    if words[0] not in COMMANDS:
        return f"no command {words[0]!r}"
    command = LazyGroup().get_command(click.Context(LazyGroup()), words[0])
    assert command is not None
    if isinstance(command, click.Group) and words[1:] and words[1] in command.commands:
        command = command.commands[words[1]]
    if command.context_settings.get("ignore_unknown_options"):
        return ""
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {
        "--help",
        "-h",
        "--traceback",
    }
    return ", ".join(f"no option {word}" for word in words if _option(word) and word.partition("=")[0] not in known)


def _of_dvc(words: list[str]) -> str:
    parser = get_main_parser()
    while words and not words[0].startswith("-"):
        below = [one for one in parser._actions if hasattr(one, "_name_parser_map")]
        if not below:
            break
        if words[0] not in below[0]._name_parser_map:  # type: ignore[attr-defined]
            return f"no command dvc {words[0]!r}"
        parser, words = below[0]._name_parser_map[words[0]], words[1:]  # type: ignore[attr-defined]
    known = parser._option_string_actions
    return ", ".join(f"no option {word}" for word in words if _option(word) and word.partition("=")[0] not in known)


def _option(word: str) -> bool:
    return re.fullmatch(r"--?[a-zA-Z][\w-]*(=.*)?", word) is not None


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    wrong = [f"{line}: {said}" for line in commands(page) for words in parts(line) if (said := problem(words))]
    assert not wrong
