"""What others wrote reaches no terminal, page, table or spreadsheet as a command."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gitproject import Project, accepted, metrics

from assay.core import sanitize_output
from assay.core.errors import AssayError, UsageError
from assay.metrics import result_tables

ESCAPES = "\x1b]0;owned\x07\x1b]52;c;cm0gLXJm\x07\x9b2J\u202e\x7f"


def harmless(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


def test_no_escape_reaches_the_terminal(two_strategies: Project, capsys) -> None:
    """From tags, names, records and the headers of files; in reports, JSON and errors."""
    project = two_strategies
    changed = [f"lr: {ESCAPES}", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "a|b"]
    project.tag(accepted(project.head, "foreign", 3, baseline="strategy/cosine", changed=changed, experiment=ESCAPES))
    project.git("config", "user.name", "=cmd|' /C calc'!A0")
    project.experiment("x\u009by", {"results/metrics.json": metrics(metric=ESCAPES), "a\x1bb": "x\n"})
    header = f"loss,{ESCAPES}"
    project.write({"a.csv": f"{header}\n1,2\n2,3\n", "b.csv": f"m{ESCAPES}\n1\n2\n3\n", "c.csv": "loss\n1\n2\n3\n"})
    project.write({f"{ESCAPES}.csv": "loss\n1\n2\n3\n"})
    turned = ["--direction", "minimize"]
    for command in (
        *(["status"], ["log", "--all"], ["log", "--all", "--json"], ["log", "--all", "--csv"], ["status", "--json"]),
        *(["compare", "a.csv"], ["compare", "b.csv", "c.csv"], ["compare", ESCAPES], ["reject", ESCAPES, "--why", "x"]),
        *(["compare", f"{ESCAPES}.csv", "c.csv", *turned], ["compare", f"{ESCAPES}.csv", "c.csv", *turned, "--json"]),
        *(["compare", "--column", ESCAPES, "a.csv", "c.csv"], ["log", f"--{ESCAPES}"], [ESCAPES]),
    ):
        project.assay(*command)
        told = capsys.readouterr()
        assert harmless(told.out) and harmless(told.err), command
        assert not told.err.startswith("assay: ") or len(told.err.rstrip("\n").split("\n")) == 1
        assert "this is a bug" not in told.err


def test_markdown_and_csv_are_escaped(two_strategies: Project, capsys) -> None:
    project = two_strategies
    changed = ["<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "a\\|b"]
    project.git("config", "user.name", "=HYPERLINK(1)")
    project.tag(accepted(project.head, "foreign", 3, baseline="strategy/cosine", changed=changed))
    project.assay("log", "--markdown")
    told = capsys.readouterr().out
    assert "<img" not in told and "](javascript" not in told
    row = next(line for line in told.split("\n") if "strategy/foreign" in line)
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 10
    project.assay("log", "--csv")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert rows["foreign"]["author"] == "'=HYPERLINK(1)"
    assert float(rows["foreign"]["delta"]) == 0.0112
    project.write({"a.csv": "loss\n1\n2\n3\n", "<img onerror=x>.csv": "loss\n1\n2\n3\n"})
    project.assay("compare", "<img onerror=x>.csv", "a.csv", "--direction", "minimize", "--markdown")
    assert "<img" not in capsys.readouterr().out


@pytest.mark.parametrize("value", ["=1+1", "+x", "-x", "@x", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(value: str) -> None:
    assert str(sanitize_output.csv_cell(value)).startswith("'")


@pytest.mark.parametrize("value", [-0.5, -3, "-0.5", "+1e-3", "-inf", "0", "", "<5 years", "a-b", None, True])
def test_numbers_and_plain_text_stay(value: object) -> None:
    assert sanitize_output.csv_cell(value) == value


def test_a_class_name_does_not_leave_the_page(tmp_path: Path) -> None:
    """`dvc plots show` writes cells of CSV files into a script of its page as they are."""
    name = "</script><script>alert(1)</script>"
    text = result_tables.confusion(np.array([0, 1]), np.array([[[0.9, 0.1], [0.2, 0.8]]]), [name, "b"])
    assert "<" not in text and "script" in text
    (tmp_path / "confusion.csv").write_text(text)
    declared = "plots:\n- confusion.csv:\n    x: actual\n    y: predicted\n    template: confusion\n"
    (tmp_path / "dvc.yaml").write_text(declared)
    for command in (["init", "-q", "--no-scm"], ["plots", "show", "-o", "page", "-q"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True)
    page = (tmp_path / "page" / "index.html").read_text()
    assert "alert(1)" in page and "<script>alert" not in page and "</script><script>" not in page


@pytest.mark.parametrize("where", ["problem", "allowed", "both"])
def test_a_sentence_is_one_short_line_and_its_command_is_whole(where: str) -> None:
    long, command = "x" * 5000 + "\n" + ESCAPES, "assay compare " + "y" * 200
    problem = f"begins {long} ends" if where != "allowed" else "short"
    allowed = f"begins {long} ends" if where != "problem" else "short"
    said = UsageError(problem, allowed=allowed, hint=command).sentence
    assert len(said) <= 500 and harmless(said) and "\n" not in said
    assert said.endswith(f"; next: {command}") and said.count("ends") == (2 if where == "both" else 1)
    assert len(AssayError(long).sentence) <= 500


def test_a_command_means_the_same_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b\x07'é\u2028"
    path.touch()
    said = UsageError("it is in the way", hint=f"rm {shlex.quote(str(path))}").sentence
    assert harmless(said) and "\n" not in said
    subprocess.run(["bash", "-c", said.rpartition("next: ")[2]], check=True, env={"LC_ALL": "C.UTF-8", "PATH": "/bin"})
    assert not path.exists()


def test_json_for_a_page(two_strategies: Project, capsys) -> None:
    project = two_strategies
    project.tag(accepted(project.head, "foreign", 3, baseline="strategy/cosine", changed=["</script>\u2028"]))
    project.assay("log", "--json")
    told = capsys.readouterr().out
    assert "<" not in told and json.loads(told)["rows"][0]["changed"] == "</script>\u2028"
