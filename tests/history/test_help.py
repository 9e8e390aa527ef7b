"""Help: every command says what it does and ends in an example that can be copied; the list is in the order of use."""

from __future__ import annotations

import pytest

from assay.cli import root


@pytest.mark.parametrize("name", root.COMMANDS)
def test_help_ends_in_an_example(name: str, capsys) -> None:
    assert root.run([name, "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    head = next(lines.index(each) for each in ("Example:", "Examples:") if each in lines)
    examples = [line for line in lines[head + 1 :] if line]
    assert examples and all(line.startswith(f"assay {name}") for line in examples)
    assert name == "report" or any("--json" in line for line in lines[:head]), "a page is for people"


def test_the_list_of_commands(capsys) -> None:
    assert root.run(["--help"]) == 0
    said = capsys.readouterr().out
    places = [said.index(f"\n  {name} ") for name in root.COMMANDS]
    assert places == sorted(places) and all(entry.help[:30] in said for entry in root.COMMANDS.values())
    day = ("status", "compare", "ablate", "accept", "log", "sync", "rebaseline")
    assert [name for name in root.COMMANDS if name in day] == list(day)
