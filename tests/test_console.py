"""What counts as the same when the README's day is walked (`tests/walkthrough.py`), and how its output is renewed."""

from __future__ import annotations

import pytest

from support import console

PAGE = """# Page

```text
a picture
```

## Day

```console
$ dvc exp run
…
progress   accuracy 0.9781 ±0.0033 (n=10) vs floor 0.9697 (fixed)
           +0.0083 [+0.0053, +0.0114] 96% CI, Welch p=0.000011 · accuracy-1.d5fcde12
$ assay log
name      date        n
--------  ----------  ---
longer    2026-11-21  10
```
"""
RUN = [
    "Running stage 'train':",
    "",
    "progress   accuracy 0.9782 ±0.0032 (n=10) vs floor 0.9697 (fixed)",
    "           +0.0083 [+0.0053, +0.0114] 96% CI, Welch p=0.000012 · accuracy-1.d5fcde12",
]
LOG = ["name     date        n", "-------  ----------  --", "longer   2027-01-02  10"]


def test_commands_of_a_page() -> None:
    first, second = console.commands(PAGE)
    assert (first.command, first.section, len(first.lines)) == ("dvc exp run", "Day", 3)
    assert (second.command, second.lines[-1]) == ("assay log", "longer    2026-11-21  10")


def test_a_run_that_says_what_is_shown() -> None:
    first, second = console.commands(PAGE)
    assert not console.difference(first.lines, RUN)
    assert not console.difference(second.lines, LOG)


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        ("accuracy 0.9781", "accuracy 0.9783", False),
        ("p=0.000011", "p=0.00001", True),
        ("p=0.18", "p=0.20", False),
        ("progress   accuracy", "regression accuracy", False),
        ("(n=10, failures < 26 %)", "(n=10, failures < 26 %)", True),
        ("(n=10)", "(n=11)", False),
        ("5 examples fixed, 1 broken", "6 examples fixed, 2 broken", True),
        ("2 changes bundled", "3 changes bundled", False),
        ("accuracy-1.d5fcde12", "accuracy-2.d5fcde12", False),
        ("accuracy-1.d5fcde12", "accuracy-1.d5fcde13", False),
        ("train.epochs 20 → 40", "train.epochs 20 → 41", False),
        ("-0.0047 [-0.0094, -0.0000]", "-0.0048 [-0.0093, +0.0001]", True),
        ("status … Ada", "status anything 7 Ada", True),
    ],
)
def test_lines_that_are_the_same(shown: str, said: str, same: bool) -> None:
    assert console.same(shown, said) is same


@pytest.mark.parametrize(
    ("shown", "said", "what"),
    [
        (["a", "b"], ["a"], "shown: b"),
        (["a"], ["a", "caution: b"], "said, and not shown: caution: b"),
        (["…", "b"], ["b", "a"], "said, and not shown"),
        ([], ["warning"], "said, and not shown: warning"),
    ],
)
def test_a_line_that_is_missing_or_too_much_is_named(shown: list[str], said: list[str], what: str) -> None:
    assert console.difference(shown, said).startswith(what)


def test_an_updated_page_shows_the_run_and_keeps_what_it_left_out() -> None:
    said = {
        "dvc exp run": [*RUN[:2], RUN[2].replace("0.9782", "0.9812"), "           a caution that is new", RUN[3]],
        "assay log": LOG,
    }
    page = console.updated(PAGE, said)
    assert page.splitlines()[:11] == PAGE.splitlines()[:11]
    for shown in console.commands(page):
        assert not console.difference(shown.lines, said[shown.command])
    assert console.updated("```text\n$ a\nlevel 0.1 …\n…\n```\n", {"a": ["level 0.5 and more", "b"]}) == (
        "```text\n$ a\nlevel 0.5 and more\n…\n```\n"
    )
    assert "…\nprogress   accuracy 0.9812" in page and "a caution that is new\n           +0.0083" in page
