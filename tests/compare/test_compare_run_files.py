"""`assay compare` on files as other tools write them: a run a file, arms in one file, a direction from a name."""

import json
import shlex
from pathlib import Path

import pytest

from assay.commands.compare_direction import guess

VALUES = {"base": (0.70, 0.71, 0.69), "wide": (0.90, 0.91, 0.89)}


def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def plain(side, run, value):
    write(f"{side}/{run}/metrics.json", json.dumps({"val": {"accuracy": value, "loss": 1}, "epoch": run}))
    return f"{side}/*/metrics.json", "val.accuracy"


def wandb(side, run, value):
    told = {"acc": value, "_step": 99 + run, "_runtime": 3.2, "_timestamp": 1.7e9, "_wandb": {"runtime": 3}}
    write(f"wandb/{side}/run-{run}/files/wandb-summary.json", json.dumps(told))
    return f"wandb/{side}/*/files/wandb-summary.json", ""


def trainer(side, run, value):
    history = [
        {"epoch": 1.0, "loss": 2.0, "step": 10},
        {"epoch": 1.0, "eval_accuracy": 0.1, "eval_runtime": 0.3, "step": 10},
        {"epoch": 2.0, "eval_accuracy": value, "eval_runtime": 0.2, "step": 20},
    ]
    write(f"{side}-{run}/trainer_state.json", json.dumps({"best_metric": 0.1, "log_history": history}))
    return f"{side}-*/trainer_state.json", "eval_accuracy"


def results(side, run, value):
    told = {"epoch": 2.0, "eval_accuracy": value, "eval_loss": 1, "eval_samples_per_second": 3, "total_flos": 4}
    write(f"{side}-{run}/all_results.json", json.dumps(told))
    return f"{side}-*/all_results.json", "eval_accuracy"


def mlflow(side, run, value):
    folder = f"mlruns/{side}/{run}f0"
    write(f"{folder}/meta.yaml", "end_time: 2\nname: ''\nstatus: 3\n")
    write(f"{folder}/metrics/val/acc", f"1700000000000 0.1 0\n1700000000002 {value} 2\n1700000000001 0.2 1\n")
    return f"mlruns/{side}/*/metrics/val/acc", ""


def tensorboard(side, run, value):
    write(f"{side}/{run}.csv", f"Wall time,Step,Value\n1.5,0,0.2\n2.5,10,{value}\n")
    return f"{side}/*.csv", ""


def tensorboard_json(side, run, value):
    write(f"{side}/{run}.json", json.dumps([[1.5, 0, 0.2], [2.5, 10, value]]))
    return f"{side}/*.json", ""


def json_lines(side, run, value):
    lines = [{"step": 1, "accuracy": 0.3, "loss": 2}, {"step": 2, "accuracy": value}, {"step": 3, "loss": 1}]
    write(f"{side}/{run}.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))
    return f"{side}/*.jsonl", "accuracy"


TOOLS = (plain, wandb, trainer, results, mlflow, tensorboard, tensorboard_json, json_lines)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_a_run_a_file(assay, tool):
    asked = {}
    for side, values in VALUES.items():
        for run, value in enumerate(values):
            asked[side], column = tool(side, run, value)
    more = ["--column", column] if column else []
    code, out, err = assay(*asked.values(), *more, "--direction", "maximize", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["candidate"]["n"] == 3 and found["delta"] == pytest.approx(0.2)
    assert found["verdict"] == "progress"


def test_several_columns_are_not_guessed_between(assay):
    for side, values in VALUES.items():
        for run, value in enumerate(values):
            asked, _ = plain(side, run, value)
    code, _, err = assay(asked, "--fixed", "0.5", "--direction", "maximize")
    assert code == 2 and "allowed: 'val.accuracy', 'val.loss'; next: choose one with --column NAME" in err


def test_a_run_without_the_number_is_no_run_less(assay):
    for run, value in enumerate(VALUES["wide"]):
        wandb("wide", run, value)
    write("wandb/wide/run-9/files/wandb-summary.json", json.dumps({"_step": 3, "lr": "none"}))
    code, _, err = assay("wandb/wide/*/files/wandb-summary.json", "--column", "acc", "--fixed", "0.5")
    assert code == 2 and "replicate 4 of wandb/wide/*/files/wandb-summary.json has no number" in err


def test_a_run_that_failed(assay):
    for run, value in enumerate(VALUES["wide"]):
        mlflow("wide", run, value)
    write("mlruns/wide/0f0/meta.yaml", "status: 4\n")
    code, out, _ = assay("mlruns/wide/*/metrics/val/acc", "--fixed", "0.5", "--json")
    side = json.loads(out)["candidate"]
    assert code == 0 and (side["n"], side["diverged"]) == (2, 1)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no file is called x/*; allowed: a pattern of files with a run each"),
        ({"x/events.out.tfevents.1.host": "x"}, "x/events.out.tfevents.1.host holds no scalars; allowed: "),
        ({"x/a.csv": "run,acc\n1,0.9\n2,0.8\n"}, "x/a.csv holds 2 rows and no step, and a pattern means one run"),
        ({"x/a.json": "{"}, "x/a.json is not JSON"),
    ],
)
def test_what_is_no_run(assay, files, said):
    for name, text in files.items():
        write(name, text)
    code, out, err = assay("x/*", "--fixed", "0.5", "--direction", "maximize")
    assert (code, out) == (2, "") and said in err


def table(arms):
    rows = [f"{side},{value}" for side in arms for value in VALUES.get(side, (0.5, 0.51, 0.49))]
    return "optimizer,accuracy\n" + "\n".join(rows) + "\n"


def test_arms_of_one_file(assay):
    write("runs.csv", table(["base", "wide"]))
    code, out, _ = assay("runs.csv", "--by", "optimizer", "--json")
    found = json.loads(out)
    assert code == 0 and found["delta"] == pytest.approx(0.2) and found["verdict"] == "progress"
    assert "maximize was guessed from the name 'accuracy'; --direction says it" in found["warnings"]
    assert assay("runs.csv[optimizer=base]", "runs.csv[optimizer=wide]", "--json")[1] == out
    write("runs.csv", table(["base", "wide", "tall"]))
    code, out, _ = assay("runs.csv", "--by", "optimizer")
    assert code == 0 and "runs.csv[optimizer=tall]" in out


@pytest.mark.parametrize(
    ("column", "said"),
    [("lr", "has no column 'lr'; allowed: 'optimizer', 'accuracy'"), ("optimizer", "the one value 'base'")],
)
def test_no_arms(assay, column, said):
    write("runs.csv", table(["base"]))
    code, _, err = assay("runs.csv", "--by", column)
    assert code == 2 and said in err


def test_runs_that_are_of_no_arm(assay):
    """As a run of MLflow that ended before it logged its parameters; the command that is printed goes on without."""
    write("my runs.csv", table(["base", "wide", ""]))
    code, _, err = assay("my runs.csv", "--by", "optimizer")
    assert code == 2 and "empty cells in" in err
    command = shlex.split(err.partition("next: ")[2])
    assert command[:2] == ["assay", "compare"] and assay(*command[2:])[0] == 0


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_acc", "maximize"),
        ("eval/loss", "minimize"),
        ("valAccuracy", "maximize"),
        ("test.RMSE", "minimize"),
        ("score", ""),
        ("accuracy_loss", ""),
        ("Value", ""),
    ],
)
def test_directions(name, direction):
    assert guess(name) == direction


def test_a_name_that_does_not_tell(assay):
    write("a.csv", "score\n0.70\n0.71\n")
    code, _, err = assay("a.csv", "--fixed", "0.5")
    assert code == 2 and "a.csv does not say whether more is better; next: --direction" in err


def test_seeds_on_both_sides(assay):
    """All the same: pairs are offered. One missing: judged unpaired, with a caution."""
    write("a.csv", "seed,acc\n1,0.70\n2,0.71\n3,0.69\n")
    write("b.csv", "seed,acc\n1,0.90\n2,0.91\n3,0.89\n")
    code, _, err = assay("a.csv", "b.csv")
    assert code == 2 and "next: --test paired, if the pairing was planned" in err
    write("b.csv", "seed,acc\n1,0.90\n2,0.91\n4,0.89\n")
    code, out, _ = assay("a.csv", "b.csv", "--json")
    assert code == 0
    assert "2 seeds stand on both sides and 3, 4 on one: judged unpaired, as a pair is missing" in str(
        json.loads(out)["warnings"]
    )
