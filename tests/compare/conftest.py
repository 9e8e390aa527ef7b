"""`assay compare` in this process, in an empty folder."""

import pytest

from assay.cli import root as command_line


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def assay(here, capsys):
    def run(*arguments):
        code = command_line.run(["compare", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run
