"""`assay compare` on files: sentences, exit codes, reports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assay.cli import root as command_line


def write(name, text, encoding="utf-8"):
    Path(name).write_bytes(text.encode(encoding))
    return name


def numbers(name, values, column="loss"):
    return write(name, "\n".join([column, *(f"{x:.6f}" for x in values)]) + "\n")


@pytest.fixture
def two(here):
    rng = np.random.default_rng(0)
    return numbers("a.csv", rng.normal(3.28, 0.002, 8)), numbers("b.csv", rng.normal(3.27, 0.002, 8))


def files_and_times(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_two_files(assay, two, here):
    before = files_and_times(here)
    code, out, err = assay(*two, "--direction", "minimize", "--min-effect", "0.001")
    assert (code, err) == (0, "")
    assert out.startswith("progress   loss 3.26")
    assert "Welch p=" in out
    assert files_and_times(here) == before


def test_json_is_one_object(assay, two):
    code, out, _ = assay(*two, "--direction", "minimize", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["candidate"]["name"], found["schema"]) == (0, "progress", "b.csv", 1)
    code, out, _ = assay(numbers("c.csv", [1.0]), numbers("d.csv", [2.0]), "--direction", "minimize", "--json")
    assert json.loads(out)["ci_low"] is None


def test_gates(assay, two):
    a, b = two
    assert assay(a, b, "--direction", "minimize", "--require", "progress")[0] == 0
    code, out, err = assay(b, a, "--direction", "minimize", "--require", "progress")
    assert (code, out[:10]) == (5, "regression")
    assert err == "assay: progress is required, and the verdict is regression\n"
    assert assay(a, a, "--direction", "minimize", "--min-effect", "1", "--require", "no-regression")[0] == 0
    assert assay(a, a, "--direction", "minimize", "--min-effect", "0.0001", "--require", "no-regression")[0] == 5


def test_a_fixed_value_and_a_target(assay, two):
    _, b = two
    code, out, _ = assay(b, "--fixed", "3.28", "--direction", "minimize")
    assert (code, "one-sample t" in out, "3.2800 (fixed)" in out) == (0, True, True)
    code, out, _ = assay(b, "--target", "3.28", "--direction", "minimize", "--require", "progress")
    assert (code, out[:8]) == (0, "reached ")
    assert assay(b, "--target", "3.26", "--direction", "minimize", "--require", "progress")[0] == 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bom.csv", "\ufeffloss\n1\n2\n3\n"),
        ("crlf.csv", "loss\r\n1\r\n2\r\n3\r\n"),
        ("blank.csv", "loss\n1\n\n2\n3\n\n"),
        ("semicolon.csv", "loss;note\n1;x\n2;y\n3;z\n"),
        ("bare.csv", "1\n2\n3\n"),
        ("list.json", "[1, 2, 3]"),
        ("columns.json", '{"loss": [1, 2, 3], "made by": "x"}'),
        ("rows.json", '[{"loss": 1}, {"loss": 2}, {"loss": 3}]'),
        ("spaces and ünïcödé.csv", "loss\n1\n2\n3\n"),
    ],
)
def test_files_of_other_tools(assay, name, text):
    write(name, text)
    code, out, err = assay(name, "--fixed", "0", "--direction", "maximize", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["candidate"]["mean"] == 2


def test_diverged_rows_are_counted(assay):
    write("a.csv", "loss,status\n1,ok\n2,ok\n3,ok\n")
    write("b.csv", "loss,status\n11,ok\n,diverged\n13,ok\n")
    _, out, _ = assay("a.csv", "b.csv", "--direction", "maximize")
    assert out.startswith("inconclusive")
    assert "candidate diverged 1 of 3 (Fisher p=1.00)" in out


@pytest.mark.extra
def test_a_million_rows(assay):
    values = np.random.default_rng(1).normal(size=1_000_000)
    Path("big.csv").write_text("loss\n" + "\n".join(map(repr, values.tolist())))
    numbers("small.csv", values[:50] - 1)
    code, out, _ = assay("small.csv", "big.csv", "--direction", "maximize", "--json")
    assert (code, json.loads(out)["candidate"]["n"], json.loads(out)["verdict"]) == (0, 1_000_000, "progress")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3,4\n", "has 2 columns; allowed: 'a', 'b'; next: choose one with --column NAME"),
        ("loss\n1\nhigh\n", "column 'loss' of x.csv holds 'high' in replicate 2"),
        ("loss\n1\nnan\n", "column 'loss' of x.csv holds nan in replicate 2"),
        ("loss\n1\n-inf\n", "column 'loss' of x.csv holds -inf in replicate 2"),
        ("loss\n1\n1e999\n", "column 'loss' of x.csv holds 1e999 in replicate 2"),
        ("", "x.csv is empty"),
        (" \n\n", "x.csv is empty"),
        ("loss\n", "has a header and no rows"),
        ("loss,loss\n1,2\n", "names column 'loss' twice"),
        ("loss,note\n1\n", "row 2 of x.csv has 1 cells"),
        ("loss,seed\n1,7\n2,7\n", "x.csv holds seed 7 2 times"),
        ("loss,profile\n1,full\n2,fast\n", "profile: full against fast"),
    ],
)
def test_bad_files_are_one_sentence(assay, text, said):
    write("x.csv", text)
    code, out, err = assay("x.csv", "--fixed", "0", "--direction", "maximize")
    assert (code, out) == (3 if "profile" in said else 2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv", "a.csv"], "nowhere.csv is missing"),
        (["a.csv", "b.csv", "--direction", "minimize", "--column", "acc"], "has no column 'acc'; allowed: 'loss'"),
        (["a.csv"], "a.csv names no baseline"),
        (["a.csv", "--direction", "minimize"], "a.csv names no baseline"),
        (["a.csv", "b.csv", "a.csv"], "a.csv is named twice"),
        (["a.csv", "HEAD"], "in no Git repository"),
        (["a.csv", "b.csv", "--direction", "minimize", "--alpha", "2"], "alpha is 2.0"),
    ],
)
def test_bad_usage_is_one_sentence(assay, two, arguments, said):
    code, out, err = assay(*arguments)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize("text", ["{", "3", "{}", '{"a": [1], "b": [1, 2]}', "[[1]]", '{"loss": ["x"]}', "null"])
def test_bad_json_is_one_sentence(assay, text):
    write("x.json", text)
    code, out, err = assay("x.json", "--fixed", "0", "--direction", "maximize")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "bug" not in err


def test_not_utf8_is_one_sentence(assay):
    write("x.csv", "löss\n1\n", "latin-1")
    assert "x.csv is not UTF-8 text (byte 1)" in assay("x.csv", "--fixed", "0", "--direction", "maximize")[2]


def test_shared_seeds_are_refused_or_paired(assay):
    write("a.csv", "loss,seed\n1.0,1\n2.0,2\n3.1,3\n4.0,4\n")
    write("b.csv", "loss,seed\n4.4,4\n3.4,3\n2.5,2\n1.5,1\n")
    code, _, err = assay("a.csv", "b.csv", "--direction", "maximize")
    assert (code, "share seeds (4, 3, 2, 1)" in err, "--test paired" in err) == (2, True, True)
    code, out, _ = assay("a.csv", "b.csv", "--direction", "maximize", "--test", "paired")
    assert (code, out[:8], "pairs correlate r=+1.00: 2 seeds an arm" in out) == (0, "progress", True)
    write("c.csv", "loss,seed\n4.4,4\n3.4,3\n2.5,2\n1.5,5\n")
    assert "seeds 1, 5" in assay("a.csv", "c.csv", "--direction", "maximize", "--test", "paired")[2]


def test_the_golden_report(assay):
    write("before.csv", "loss\n3.2772\n3.2794\n3.2786\n3.2807\n")
    write("after.csv", "loss\n3.2741\n3.2760\n3.2733\n3.2752\n")
    _, out, _ = assay("before.csv", "after.csv", "--direction", "minimize", "--min-effect", "0.001", "--markdown")
    assert out == GOLDEN


GOLDEN = """\
**progress** · loss · after.csv against before.csv

| loss (minimize) | mean | sd | n | diverged |
| --- | ---: | ---: | ---: | ---: |
| before.csv | 3.2790 | 0.0015 | 4, failures < 53 % | 0 |
| after.csv | 3.2746 | 0.0012 | 4, failures < 53 % | 0 |

-0.0043 [-0.0067, -0.0020] 95% CI, Welch p=0.0042

- effect -3.24 sd
- a candidate run beats a baseline run in 100% of pairs
- this n finds a difference of 0.0034 with 80% power
- judged as given: the numbers of before.csv and after.csv, which nothing here computed
"""


def test_the_whole_process(two):
    """As a shell sees it: nothing but the object on stdout, and no traceback."""
    command = [sys.executable, "-m", "assay", "compare", *two, "--direction", "minimize", "--json"]
    source = str(Path(command_line.__file__).parents[2])
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": source})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["verdict"] == "progress"
