"""The test of a task that `assay init` writes: where it goes, what it leaves alone, and that it passes at once."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from assay.project_setup import templates
from project_setup.conftest import Repository
from project_setup.test_init_runs import fill

TEST = templates.TEST
SCRIPT = "import json, sys\nfrom pathlib import Path\nPath(sys.argv[4], 'metrics.json').write_text('{}')\n"


def test_each_template_has_one() -> None:
    texts = {name: templates.text(one.test) for name, one in templates.TEMPLATES.items()}
    assert all("assay_task.check()" in text for text in texts.values())
    for name, text in texts.items():
        compile(text, name, "exec")
        assert max(map(len, text.split("\n"))) <= 120


def test_a_test_of_that_name_stays(user: Repository) -> None:
    user.write(TEST, "def test_mine(): pass\n")
    user.commit("mine")
    done = user.init()
    assert TEST not in done.files and user.read(TEST) == "def test_mine(): pass\n"
    assert f"no test of the task was written: {TEST} is there already" in done.notes
    user.init(remove=True)
    assert user.read(TEST) == "def test_mine(): pass\n"


def test_a_folder_that_git_leaves_out_or_that_is_none(user: Repository) -> None:
    user.write(".gitignore", "tests/\n")
    user.commit("mine")
    assert f"no test of the task was written: Git leaves {TEST} out (.gitignore)" in user.init(dry_run=True).notes
    user.write(".gitignore", "")
    user.write("tests", "a file\n")
    user.commit("mine")
    done = user.init(dry_run=True)
    assert "no test of the task was written: tests is no plain folder" in done.notes and TEST not in done.files


def test_it_is_shown_committed_and_taken_out_again(user: Repository) -> None:
    user.write("tests/test_other.py", "")
    user.commit("mine")
    assert f"+++ b/{TEST}" in user.init(dry_run=True).diff and not (user.root / TEST).exists()
    user.init()
    assert user.at("HEAD", TEST) == templates.text("table.test.txt")
    user.init(remove=True)
    assert not (user.root / TEST).exists() and (user.root / "tests/test_other.py").exists()


def set_up(user: Repository, template: str) -> None:
    """Data for a template, and what init makes of them."""
    path = "train.py" if template == "script" else fill(user, template)
    if template == "script":
        user.write(path, SCRIPT)
    if path:
        user.commit("data")
    done = user.init(*([path] if path else []), template=template if template in ("loop", "script") else "")
    assert done.template == template


@pytest.mark.extra
@pytest.mark.parametrize("template", list(templates.TEMPLATES))
def test_it_passes_right_after_init(user: Repository, template: str) -> None:
    """And leaves nothing: no file is new, Git says nothing. In this process, as imports take longer than the tests."""
    set_up(user, template)
    before = user.state()
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", *fixture(), f"--rootdir={user.root}"]
    try:
        assert pytest.main([*options, str(user.root)]) == 0
    finally:
        for name in [name for name in sys.modules if name.endswith("test_assay_task")]:
            del sys.modules[name]
    assert user.state() == before


@pytest.mark.extra
def test_a_script_s_test_follows_the_key_that_was_named_by_hand(user: Repository) -> None:
    set_up(user, "script")
    text = (user.root / "params.yaml").read_text(encoding="utf-8")
    user.write("params.yaml", text.replace("metrics.json", "all/m.json").replace("key: accuracy", "key: val.closeness"))
    said = user.run(sys.executable, "-m", "pytest", "-k", "number", *fixture(), ok=False).stdout
    assert "1 passed" in said, said


@pytest.mark.extra
def test_as_a_user_starts_it(user: Repository) -> None:
    set_up(user, "table")
    said = user.run(sys.executable, "-m", "pytest", *fixture(), ok=False).stdout
    assert "3 passed" in said, said


def fixture() -> list[str]:
    """What loads the fixture where this installation is from before it was there."""
    known = any(one.name == "assay" for one in metadata.entry_points(group="pytest11"))
    return [] if known else ["-p", "assay.pytest_plugin"]
