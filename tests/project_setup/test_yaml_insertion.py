"""Our stages and parameters in files of others: every line stays byte for byte, and reads as before."""

from __future__ import annotations

import pytest

from assay.core.paths import STAGES
from assay.core.yaml12 import parse
from assay.project_setup import templates, yaml_insertion
from assay.project_setup.yaml_insertion import UnsafeInsertionError

OURS = templates.pipeline(templates.TEMPLATES["table"], reads=True)
PARAMS = templates.params(templates.TEMPLATES["table"], "plants", {"file": "plants.csv", "target": "species"})
STAGE = "stages:\n  fetch:\n    cmd: ./fetch\n"

#: dvc.yaml of somebody else, in which ours can be inserted
FOREIGN = {
    "plain": STAGE,
    "no newline": STAGE.removesuffix("\n"),
    "CRLF": STAGE.replace("\n", "\r\n"),
    "CRLF, no newline": STAGE.replace("\n", "\r\n").removesuffix("\r\n"),
    "four spaces": STAGE.replace("  ", "    "),
    "one space": "stages:\n fetch:\n  cmd: ./fetch\n",
    "tabs in comments": "stages:\t# mine\n  fetch:  #\twith\ttabs\n    cmd: ./fetch\t# here\n",
    "blank lines": STAGE + "\n\n",
    "comments": "# top\n" + STAGE + "  # of fetch\n\n# the end\n",
    "another key behind": STAGE + "\n# pictures\nplots:\n  - results/roc.csv:\n      x: fpr\n",
    "another key before": "vars:\n  - width: 3\n" + STAGE,
    "anchors": "stages:\n  a: &one\n    cmd: ./a\n  b:\n    <<: *one\n    deps: [x]\n",
    "a block of text": "stages:\n  fetch:\n    cmd: |\n      ./a\n      # no comment\n\n      ./b\n",
    "a block that keeps its blank lines": "stages:\n  fetch:\n    cmd: |+\n      ./a\n\n\nplots: []\n",
    "foreach": "stages:\n  each:\n    foreach: [1, 2]\n    do:\n      cmd: ./a ${item}\n",
    "quoted": '"stages":\n  "fetch it":\n    cmd: "./fetch\n      twice"\n',
    "no stages": "plots:\n  - results/roc.csv\n",
    "stages without any": "stages:\nplots: []\n",
    "comments alone": "# nothing yet\n",
    "empty": "",
    "end mark": STAGE + "...\n",
    "start mark": "---\n" + STAGE,
    "not ASCII": "# größer\n" + STAGE.replace("./fetch", "./hole-Äpfel"),
}
REFUSED = {
    "flow": "stages: {}\n",
    "all in flow": "{stages: {fetch: {cmd: ./fetch}}}\n",
    "stages in flow": "stages: {fetch: {cmd: ./fetch}}\n",
    "a name of ours": "stages:\n  train:\n    cmd: ./train\n",
    "a list": "stages: [a]\n",
    "no YAML": "stages: [\n",
    "no UTF-8": b"# \xff\nstages:\n  fetch:\n    cmd: ./fetch\n",
    "two documents": STAGE + "---\n" + STAGE,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_stages_are_inserted(name: str) -> None:
    content = FOREIGN[name].encode()
    made = yaml_insertion.with_stages(content, OURS)
    start = next(
        n
        for n in range(len(made) + 1)
        if made[:n] == content[:n] and made[n + len(made) - len(content) :] == content[n:]
    )
    block = made[start : start + len(made) - len(content)]
    assert made.replace(block, b"") == content and b"assay stage verdict" in block
    old, new = (parse(text) if text.strip() else {} for text in (content.replace(b"# nothing yet\n", b""), made))
    mine = old.get("stages") or {}
    assert list(new["stages"]) == [*mine, *STAGES]
    assert new["stages"] == {**mine, **parse(OURS)["stages"]}
    assert {**new, "stages": None} == {**old, "stages": None}
    if b"\r\n" in content:
        assert b"\n" not in block.replace(b"\r\n", b"")
    assert made.endswith(b"\n") == (content.endswith(b"\n") or not content)


@pytest.mark.parametrize("name", REFUSED)
def test_what_leaves_no_line_is_refused(name: str) -> None:
    text = REFUSED[name]
    with pytest.raises(UnsafeInsertionError):
        yaml_insertion.with_stages(text if isinstance(text, bytes) else text.encode(), OURS)


def test_chunks_are_all_of_params_yaml() -> None:
    chunks = yaml_insertion.chunks(PARAMS)
    assert list(chunks) == list(parse(PARAMS))
    assert "".join(chunks.values()) == PARAMS


@pytest.mark.parametrize(
    "text",
    ["lr: 0.1", "lr: 0.1\r\nseed: 5\r\n", "# mine\nlr: 1e-3\n\n\n", "a: &x 1\nb: *x\n", "note: |+\n  two\n\n", "\n"],
)
def test_missing_keys_are_appended_with_their_comments(text: str) -> None:
    made = yaml_insertion.with_keys(text.encode(), yaml_insertion.chunks(PARAMS))
    old = parse(text) if text.strip() else {}
    assert made.startswith(text.encode())
    assert parse(made) == {**parse(PARAMS), **old}
    assert b"# shares of the examples; the rest trains" in made


def test_nothing_is_appended_where_nothing_is_missing() -> None:
    assert yaml_insertion.with_keys(PARAMS.encode(), yaml_insertion.chunks(PARAMS)) == PARAMS.encode()


def test_parameters_in_flow_style_are_refused() -> None:
    with pytest.raises(UnsafeInsertionError):
        yaml_insertion.with_keys(b"{lr: 0.1}\n", yaml_insertion.chunks(PARAMS))


@pytest.mark.parametrize(
    "value", ["a/b.csv", "../x", "yes", "my photos", "ä: #", "1e3", "", "\t", ".5", "-x", [], ["a"], 3]
)
def test_values_read_as_they_were_given(value: object) -> None:
    assert parse(f"key: {templates.scalar(value)}\n") == {"key": value}
