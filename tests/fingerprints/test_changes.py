from __future__ import annotations

import difflib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.changes.strategy_diff import changes

PARAMETERS = {"lr": 0.001, "model": {"hidden": 64, "widths": [1, 2]}, "train": {"epochs": 20, "schedule": "constant"}}
CODE = {"src/tasks/digits/learning.py": "def model():\n    return 1\n"}


def told(parameters: dict[str, Any], code: dict[str, str] = CODE) -> tuple[str, int]:
    found = changes(PARAMETERS, parameters, CODE, code)
    assert found.bundled == (found.count > 1)
    return str(found), found.count


EDITED = {"src/tasks/digits/learning.py": "def model():\n    x = 1\n    return x\n"}
CASES: dict[str, tuple[dict[str, Any], dict[str, str], str, int]] = {
    "nothing": ({}, CODE, "no difference", 0),
    "one parameter": ({"lr": 0.0003}, CODE, "lr 0.001 → 0.0003", 1),
    "a nested one": ({"model": {"hidden": 32, "widths": [1, 2]}}, CODE, "model.hidden 64 → 32", 1),
    "a list is one parameter": (
        {"model": {"hidden": 64, "widths": [1, 2, 3]}},
        CODE,
        "model.widths [1, 2] → [1, 2, 3]",
        1,
    ),
    "two parameters": (
        {"lr": 0.0003, "train": {"epochs": 20, "schedule": "cosine"}},
        CODE,
        "lr 0.001 → 0.0003 · train.schedule constant → cosine · 2 changes bundled",
        2,
    ),
    "code": ({}, EDITED, "code: src/tasks/digits/learning.py +2 −1", 1),
    "code with the parameter it introduces": (
        {"model": {"hidden": 64, "widths": [1, 2], "heads": 4}},
        EDITED,
        "model.heads 4 (new) · code: src/tasks/digits/learning.py +2 −1",
        1,
    ),
    "code with the parameter it removes": (
        {"model": {"hidden": 64}},
        EDITED,
        "model.widths [1, 2] (removed) · code: src/tasks/digits/learning.py +2 −1",
        1,
    ),
    "code and a parameter that existed": (
        {"lr": 0.0003},
        EDITED,
        "lr 0.001 → 0.0003 · code: src/tasks/digits/learning.py +2 −1 · 2 changes bundled",
        2,
    ),
    "several files are one change": (
        {},
        {**EDITED, "src/tasks/digits/blocks.py": "x = 1\n"},
        "code: src/tasks/digits/blocks.py +1 −0, src/tasks/digits/learning.py +2 −1",
        1,
    ),
    "a file less": ({}, {}, "code: src/tasks/digits/learning.py +0 −2", 1),
    "new parameters without code are one change": (
        {"a": 1, "b": True},
        CODE,
        "a 1 (new) · b true (new)",
        1,
    ),
    "a comment is no change": (
        {},
        {"src/tasks/digits/learning.py": "def model():\n    return 1  # why\n"},
        "code: src/tasks/digits/learning.py +1 −1 (comments or layout only)",
        0,
    ),
    "1 and 1.0 are the same number": ({"train": {"epochs": 20.0, "schedule": "constant"}}, CODE, "no difference", 0),
    "true is not 1": (
        {"train": {"epochs": True, "schedule": "constant"}},
        CODE,
        "train.epochs 20 → true",
        1,
    ),
    "nothing to something": (
        {"train": {"epochs": None, "schedule": ""}},
        CODE,
        "train.epochs 20 → null · train.schedule constant → '' · 2 changes bundled",
        2,
    ),
}


@pytest.mark.parametrize(("parameters", "code", "sentence", "count"), CASES.values(), ids=CASES)
def test_differences_are_told_and_counted(
    parameters: dict[str, Any], code: dict[str, str], sentence: str, count: int
) -> None:
    assert told({**PARAMETERS, **parameters}, code) == (sentence, count)


def test_broken_code_counts_as_a_change() -> None:
    assert told(PARAMETERS, {"src/tasks/digits/learning.py": "def model(:\n"})[1] == 1


def test_a_file_that_is_no_python_counts_by_its_text() -> None:
    found = changes({}, {}, {"src/tasks/digits/names.json": "[]"}, {"src/tasks/digits/names.json": "[ ]"})
    assert (str(found), found.count) == ("code: src/tasks/digits/names.json +1 −1", 1)


TEXTS = st.lists(st.sampled_from(["a", "b", "", "c d"]), max_size=12).map("\n".join)


@given(TEXTS, TEXTS)
def test_line_counts_balance_and_agree_with_a_unified_diff(old: str, new: str) -> None:
    found = changes({}, {}, {"notes.txt": old}, {"notes.txt": new}).code
    added = sum(file.added for file in found)
    removed = sum(file.removed for file in found)
    assert added - removed == len(new.splitlines()) - len(old.splitlines())
    patch = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""))[2:]
    assert added == sum(line.startswith("+") for line in patch)
    assert removed == sum(line.startswith("-") for line in patch)


KEYS = st.text("abc", min_size=1, max_size=2)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(MAPPINGS, MAPPINGS)
def test_a_strategy_equals_itself_and_the_way_back_counts_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert changes(one, one, CODE, CODE).count == 0
    there, back = changes(one, other, CODE, CODE), changes(other, one, CODE, CODE)
    assert there.count == back.count
    assert len(there.introduced) == len(back.removed)
