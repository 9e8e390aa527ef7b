"""`assay compare` on exports of other tools: no wrong column, no lost run, and nothing else taken for a run."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def numbers(assay):
    """(n, diverged, mean) of the candidate in a file against 0.5, or the sentence of the refusal."""

    def read(name, text, *arguments):
        Path(name).write_text(text)
        code, out, err = assay(name, "--fixed", "0.5", "--direction", "maximize", "--json", *arguments)
        if code:
            assert (code, out, err.count("\n")) == (2, "", 1), err
            return err
        side = json.loads(out)["candidate"]
        return side["n"], side["diverged"], pytest.approx(side["mean"])

    return read


THREE = 0.92


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (",accuracy\n0,0.91\n1,0.92\n2,0.93\n", (3, 0, THREE)),  # pandas' index
        ("Unnamed: 0,accuracy\n0,0.91\n1,0.92\n2,0.93\n", (3, 0, THREE)),
        (",accuracy,status\n0,,diverged\n1,0.91,ok\n2,0.93,ok\n", (2, 1, THREE)),
        ("run,accuracy\nrun1,0.91\nresnet50,0.92\ncosine-lr,0.93\n", (3, 0, THREE)),
        ("Name,State,accuracy\na,finished,0.91\nb,crashed,0.1\nc,finished,0.93\n", (2, 1, THREE)),  # W&B
        ("status,acc\nFINISHED,0.91\nFAILED,\nKILLED,0.2\nFINISHED,0.93\n", (2, 2, THREE)),  # MLflow
        ("Name,State,Notes,User,Tags,Created,acc\na,finished,,ada,,2026-01-02T10:00:00.000Z,0.92\n", (1, 0, THREE)),
        ("run,epoch,accuracy\na,10,0.91\nb,12,0.93\n", "choose one with --column NAME"),
        ("loss,\n0.91,\n0.93,\n", (2, 0, THREE)),  # every line ends in a comma
        ("sep=;\nname;acc\na;0.91\nb;0.93\n", (2, 0, THREE)),  # Excel
        ("name;acc\na, b;0.91\nc, d;0.93\n", (2, 0, THREE)),
        ('{"acc": 0.91}\n{"acc": 0.93}\n', (2, 0, THREE)),  # JSON lines
    ],
)
def test_whole_tables_are_read(numbers, text, expected):
    found = numbers("x.csv", text)
    assert found == expected if isinstance(expected, tuple) else expected in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run,status,accuracy\n1,diverged,\n2,ok,0.91\n3,ok,0.93\n", "allowed: 'run', 'accuracy'; next: choose one"),
        ("id,accuracy\n1,91%\n2,92%\n", "allowed: 'id', 'accuracy'"),
        ("lr,accuracy\n0.1,tensor(0.91)\n0.2,tensor(0.92)\n", "allowed: 'lr', 'accuracy'"),
        ("lr,accuracy\n0.1,\n0.2,\n", "allowed: 'lr', 'accuracy'"),
        ("run,model\n1,resnet\n2,vgg\n", "choose one with --column NAME"),
        ("run1,0.91\nrun2,0.92\n", "first line of x.csv holds the number 0.91 and no names"),
        ("run1,diverged\nrun2,0.92\n", "has a column called 'diverged'"),
        ("diverged\n0.91\n0.92\n", "has a column called 'diverged'"),
        ("run,diverged,acc\na,True,0.1\nb,False,0.92\n", "has a column called 'diverged'"),
        ("run1,\nrun2,0.92\n", "column 2 of x.csv has no name"),
        (",0\n0,0.91\n1,0.92\n", "first line of x.csv holds the number 0 and no names"),  # a Series of pandas
        ("0\n0.91\n0.92\n", "first line of x.csv is 0, a name of its column or a first run"),
        ("0,91\n0,92\n", "first line of x.csv holds the number 0 and no names"),  # decimal commas
        ("name;acc\na;0,91\nb;0,93\n", "next: write 0.91 for 0,91"),
        ("name;acc,x\na;0,91\nb;0,93\n", "column 'acc,x' of x.csv holds '0,91'"),
        ("lr,accuracy\n0.1,diverged\n0.2,n/a\n", "allowed: 'lr', 'accuracy'"),
        ("run,acc\n2024_1,0.91\n2024_2,0.92\n", "choose one with --column"),
        ("acc\n1_000\n2_000\n", "holds '1_000' in replicate 1"),
    ],
)
def test_no_column_is_guessed_wrong(numbers, text, said):
    assert said in numbers("x.csv", text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "acc,state\n0.91,running\n0.92,finished\n",
            "replicate 1 of x.csv is running; allowed: runs that ended; next: ",
        ),
        ("acc,status\n0.91,COMPLETE\n", "replicate 1 of x.csv has the state 'COMPLETE'; allowed: finished, ok, failed"),
        ("acc,status\n0.91,\n", "has the state ''"),
        ("acc,status\n,finished\n0.92,finished\n", "replicate 1 of x.csv is finished and has no number"),
        ("name,acc\na,\nb,0.92\n", "replicate 1 of x.csv has no number"),  # W&B
        ('name,acc\na,0.92\nb,""\n', "replicate 2 of x.csv has no number"),
        ("acc,status,State\n0.91,ok,finished\n", "has columns 'status' and 'State'"),
    ],
)
def test_how_runs_ended_is_never_guessed(numbers, text, said):
    assert said in numbers("x.csv", text, "--column", "acc")


def test_runs_that_go_on_are_left_out_on_demand(numbers, assay):
    text = "acc,state\n0.99,Running\n0.91,finished\n0.93,finished\n0.1,failed\n"
    assert numbers("x.csv", text, "--finished-only") == (2, 1, THREE)
    said = assay("x.csv", "--fixed", "0.5", "--direction", "maximize", "--finished-only")[1]
    assert "caution: 1 of x.csv still running, and left out" in said
    assert "still running" in assay("x.csv", "--target", "0.5", "--direction", "maximize", "--finished-only")[1]
    assert "no run of y.csv has ended" in numbers("y.csv", "acc,state\n0.99,RUNNING\n", "--finished-only")


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        (
            "Wall time,Step,Value\n1.7e9,1,0.91\n1.8e9,2,0.92\n",
            "Value",
            "'Wall time' of x.csv counts steps",
        ),  # TensorBoard
        ("epoch,loss\n1,0.91\n2,0.92\n", "loss", "'epoch' of x.csv counts steps"),  # Keras, fastai
        ("step\tacc\n10\t0.91\n20\t0.92\n", "acc", "'step' of x.csv counts steps"),  # DVCLive
        ("_step,acc\n0,0.91\n1,0.92\n", "acc", "counts steps"),  # W&B's history
        ("loss,trainer/global_step\n0.91,5\n0.92,9\n", "loss", "counts steps"),  # Lightning
        ("id,step,acc\n1,10,0.91\n2,20,0.92\n", "acc", "counts steps"),
        ("run,step,acc\na,1,0.91\na,2,0.92\nb,1,0.9\n", "acc", "x.csv holds run a 2 times"),
        ("run_id,key,value\na,acc,0.91\na,loss,0.2\n", "value", "holds run_id a 2 times"),  # MLflow
        ("metric,value\nacc,0.91\nloss,0.2\n", "value", "holds 'acc' and 'loss' below each other"),
        (",acc\ncount,10\nmean,0.91\nstd,0.1\n", "acc", "row 'count' of x.csv is no run"),  # describe() of pandas
        ("run,acc\na,0.91\nb,0.92\nMean,0.915\n", "acc", "row 'Mean' of x.csv is no run"),
        ("arm,purpose,acc\ncandidate,x,0.91\nbaseline,x,0.92\n", "acc", "rows of x.csv are 'baseline' and 'candidate'"),
        ('[{"log": [{"loss": 0.2}]}]', "log", "'log' of x.csv holds a list for a run"),
        ('{"best": 0.9, "log_history": [{"loss": 0.2}, {"loss": 0.1}]}', "log_history", "holds an object for a run"),
        ("[[1.7e9, 1, 0.91], [1.8e9, 2, 0.92]]", "", "holds a list for a run"),  # TensorBoard's JSON
        ('{"step": [1, 2], "loss": [0.91, 0.92]}', "loss", "counts steps"),
    ],
)
def test_what_is_no_run_is_no_replicate(numbers, text, column, said):
    """Also where the column is named: it holds other things than runs."""
    assert said in numbers("x.csv", text, *(["--column", column] if column else []))


def test_rows_that_name_their_run_may_say_how_far_it_went(numbers):
    text = "run,epoch,accuracy\na,10,0.91\nb,12,0.93\n"
    assert numbers("x.csv", text, "--column", "accuracy") == (2, 0, THREE)
    assert numbers("x.csv", "acc,epochs\n0.91,5\n0.93,5\n", "--column", "acc") == (2, 0, THREE)


def test_an_index_is_no_seed(assay):
    """Two files count from 0 as well, and a list has neither names nor seeds."""
    Path("a.csv").write_text(",acc\n0,0.91\n1,0.92\n")
    Path("b.csv").write_text(",acc\n0,0.93\n1,0.94\n")
    assert assay("a.csv", "b.csv", "--direction", "maximize")[0] == 0
    Path("c.json").write_text("[0.9, 0.9, 0.8]")
    assert assay("c.json", "c.json", "--direction", "maximize")[0] == 0


def test_seeds_are_compared_as_numbers(assay):
    """pandas writes 1.0 for 1 beside a gap, and exports write config.seed: shared seeds stay shared."""
    Path("a.csv").write_text("acc,seed\n0.91,1\n0.92,2\n")
    Path("b.csv").write_text("acc,config.seed\n0.93,1.0\n0.94,2.0\n")
    code, _, err = assay("a.csv", "b.csv", "--direction", "maximize")
    assert (code, "share seeds (1, 2)" in err) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("acc,direction\n0.91,up\n0.92,up\n", "is 'up'; allowed: maximize, minimize; next: write one of these there"),
        ("acc,direction\n0.91,\n0.92,maximize\n", "holds '' and 'maximize'; allowed: the same in each row"),
        ("acc,min_effect\n0.91,0.1\n0.92,0.5\n", "column 'min_effect' of x.csv holds '0.1' and '0.5'"),
        ("acc,worst\n0.91,0.1\n0.92,0.5\n", "column 'worst' of x.csv holds '0.1' and '0.5'"),
    ],
)
def test_how_numbers_are_judged_is_read_from_all_rows(numbers, text, said):
    assert said in numbers("x.csv", text)
