"""Help: every command of the history says what it does and shows an example that names it."""

from __future__ import annotations

import pytest

from assay.cli import root

COMMANDS = (
    "status",
    "ablate",
    "accept",
    "reject",
    "revoke",
    "rebaseline",
    "rescore",
    "guard",
    "export",
    "sync",
    "log",
    "profile",
    "cache",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str, capsys) -> None:
    assert root.run([name, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"Example: assay {name}" in said and "--json" in said


def test_the_list_of_commands(capsys) -> None:
    assert root.run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and root.COMMANDS[name].help[:30] in said for name in COMMANDS)
