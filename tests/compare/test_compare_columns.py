"""`assay compare --column` on records: each metric by its own row of results/rulers.csv, and by no other's."""

import json
import os
import subprocess
from pathlib import Path

import pytest

VERSION, LOSS = "accuracy-1.5f3c9a2e", "loss-1.0badcafe"
HEADER = "arm,strategy,replicate,seed,status,metric_version,profile,environment,direction,min_effect,worst,"
RULERS = f"metric,key,direction,min_effect,worst\naccuracy,{VERSION},maximize,0.002,\nloss,{LOSS},minimize,0.3,9.0\n"
ENVIRONMENT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def git(*arguments):
    named = ["-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *named, *arguments], check=True, capture_output=True, env=os.environ | ENVIRONMENT)


def rows(arm, losses, seed):
    common = f"{VERSION},full,torch 2; cpu,maximize,0.002,"
    return [f"{arm},{arm},{i},{seed + i},ok,{common},{0.9 + i / 1e3:.4f},{x}" for i, x in enumerate(losses)]


def record(rulers):
    """A record whose accuracies say nothing, and whose candidate loses 0.5 of its loss."""
    Path("results").mkdir(exist_ok=True)
    floor = f"floor,majority,,,ok,{VERSION},full,,maximize,0.002,,0.1,5.0"
    measured = [*rows("candidate", [1.50, 1.52, 1.49, 1.51], 10), *rows("baseline", [2.0, 2.01, 1.99, 2.02], 20), floor]
    Path("results/replicates.csv").write_text("\n".join([HEADER + "accuracy,loss", *measured]) + "\n")
    Path("results/rulers.csv").write_text(rulers) if rulers else Path("results/rulers.csv").unlink(missing_ok=True)
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "run")


@pytest.fixture
def repository(here):
    git("init", "--quiet")
    record(RULERS)
    return here


@pytest.mark.parametrize("side", ["HEAD", "results/replicates.csv"])
def test_another_column_is_judged_by_its_own_row(repository, assay, side):
    """Less loss is progress, whatever accuracy wants; by the smallest effect and the version of that row."""
    code, out, err = assay(side, "--column", "loss", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["verdict"], found["direction"], found["metric_version"]) == ("progress", "minimize", LOSS)
    assert found["min_effect"] == 0.3 and found["metric"] == "loss"
    assert json.loads(assay(side, "--json")[1])["metric_version"] == VERSION


def test_a_smallest_effect_is_the_baselines(repository, assay):
    """Of another column too: what the candidate's own tree says may have changed together with the idea."""
    git("tag", "baseline")
    record(RULERS.replace("minimize,0.3", "minimize,90"))
    found = [json.loads(assay(*sides, "--column", "loss", "--json")[1]) for sides in (["HEAD"], ["baseline", "HEAD"])]
    assert [(one["min_effect"], one["verdict"]) for one in found] == [(0.3, "progress"), (0.3, "progress")]


def test_a_diverged_replicate_counts_as_the_worst_value_of_that_row(repository, assay):
    record(RULERS)
    text = Path("results/replicates.csv").read_text()
    Path("results/replicates.csv").write_text(text.replace(f"10,ok,{VERSION}", f"10,diverged,{VERSION}", 1))
    found = json.loads(assay("results/replicates.csv", "--column", "loss", "--json")[1])
    assert found["entered"] and found["candidate"]["mean"] == pytest.approx((9 + 1.52 + 1.49 + 1.51) / 4)


def test_the_direction_of_a_row_cannot_be_turned(repository, assay):
    assert (
        "--direction is maximize, but HEAD records minimize"
        in assay("HEAD", "--column", "loss", "--direction", "maximize")[2]
    )


@pytest.mark.parametrize(
    ("rulers", "column", "said"),
    [
        ("", "loss", "HEAD has no results/rulers.csv, which says how loss is judged; allowed: accuracy; next:"),
        (RULERS.replace("loss,", "f1,", 1), "loss", "has no row of its own for 'loss'; allowed: accuracy, f1"),
        (RULERS, "replicate", "has no row of its own for 'replicate'"),
        (RULERS + f"loss,{LOSS},maximize,0,\n", "loss", "has no row of its own for 'loss'"),
        (RULERS.replace("minimize", "down"), "loss", "is 'down'; allowed: maximize, minimize"),
        (RULERS.replace("0.3", "little"), "loss", "holds 'little'"),
        (RULERS.replace(",key", ",version"), "loss", "has no column 'key'"),
        (RULERS.replace(VERSION, "accuracy-1.00000000"), "accuracy", "its results/replicates.csv accuracy-1.5f3c9a2e"),
    ],
)
def test_a_metric_without_a_row_is_refused(repository, assay, rulers, column, said):
    record(rulers)
    code, out, err = assay("HEAD", "--column", column)
    assert (code, out) == (2, "")
    assert said in err


def test_an_older_record_is_read_as_before(repository, assay):
    record("")
    for arguments in ((), ("--column", "accuracy")):
        found = json.loads(assay("HEAD", *arguments, "--json")[1])
        assert (found["direction"], found["min_effect"], found["metric_version"]) == ("maximize", 0.002, VERSION)


def test_two_records_under_other_rulers_of_that_metric_are_refused(repository, assay):
    git("tag", "before")
    record(RULERS.replace(LOSS, "loss-2.0badcafe"))
    code, _, err = assay("before", "HEAD", "--column", "loss")
    assert (code, f"metric_version: {LOSS} against loss-2.0badcafe" in err) == (3, True)


def imported(packages, unseen=""):
    """A row of accuracy that says what its metric imported and read."""
    header = "metric,key,direction,min_effect,worst,packages,unseen"
    return f"{header}\naccuracy,{VERSION},maximize,0.002,,{packages},{unseen}\n"


def test_numbers_under_other_packages_of_the_metric_are_not_subtracted(repository, assay):
    record(imported('"numpy 2, sklearn 1.7"'))
    git("tag", "before")
    record(imported('"numpy 2, sklearn 1.8"'))
    code, _, err = assay("before", "HEAD")
    assert code == 3 and "metric_packages: numpy 2, sklearn 1.7 against numpy 2, sklearn 1.8; next: the same" in err
    assert "with --rescore" in err
    assert assay("HEAD")[0] == 0, "both arms of one record were scored at once"
    record(RULERS)  # an older record does not say it
    assert "metric_packages" not in assay("before", "HEAD")[2]


def test_numbers_of_a_metric_that_read_what_no_version_covers_are_refused(repository, assay):
    record(imported("numpy 2", "w.npy"))
    for side in ("HEAD", "results/replicates.csv"):
        code, out, err = assay(side)
        assert (code, out) == (3, "")
        assert (
            f"was computed from w.npy, which {VERSION} does not cover; next: name what the metric reads in READS" in err
        )
