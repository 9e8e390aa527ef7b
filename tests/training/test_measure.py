"""The protocol: what a request leaves on disk, and that it depends on nothing but the request."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from miniature import Make, digits, some_ids
from safetensors.numpy import load_file

from assay.core import schemas
from assay.core.errors import AssayError
from assay.core.schemas import Measurement
from assay.data.storage import Examples
from assay.runtime import example_ids


def test_writes_models_predictions_curves_log_and_answer(make: Make) -> None:
    project = make()
    answer = project.measure([0, 1, 2])
    out = project.root / "out"
    assert schemas.decode((out / "answer.json").read_bytes(), Measurement, "answer") == answer
    assert [one.number for one in answer.replicates] == [0, 1, 2]
    assert len({one.seed for one in answer.replicates}) == 3
    assert all(one.steps == 2 * 7 and one.diverged is None and not one.reused for one in answer.replicates)
    predictions = project.predictions()
    assert predictions.shape == (3, 60, 10) and predictions.dtype == np.float32
    assert np.allclose(predictions.sum(-1), 1, atol=1e-5)
    ids = out / "predictions" / "ids.npy"
    assert np.load(ids).dtype.itemsize == 16
    assert example_ids.read(ids).tolist() == some_ids(60, 1000).tolist()
    rows = list(csv.DictReader((out / "curves.csv").open()))
    assert [(row["replicate"], row["epoch"]) for row in rows] == [(str(r), str(e)) for r in range(3) for e in (1, 2)]
    assert {row["seed"] for row in rows} == {str(one.seed) for one in answer.replicates}
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])
    log = (out / "train.log").read_text()
    assert "replicate 2" in log and log.splitlines()[-1].startswith("seconds: reading ")
    assert answer.identity.code == "code" and answer.identity.parameters["train"]["epochs"] == 2


def test_the_saved_weights_make_the_saved_predictions(make: Make) -> None:
    project = make()
    project.measure([4])
    weights = {k: v.astype(np.float64) for k, v in load_file(project.root / "out/models/4.safetensors").items()}
    inputs = digits(1000, 1060).inputs.reshape(60, -1) / 16.0
    hidden = np.maximum(inputs @ weights["1.weight"].T + weights["1.bias"], 0)
    logits = hidden @ weights["4.weight"].T + weights["4.bias"]
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(project.predictions()[0], expected, atol=1e-5)


def test_same_request_same_bytes_and_a_replicate_does_not_depend_on_the_others(make: Make) -> None:
    project = make(model={"dropout": 0.3})
    project.measure([0, 1, 2], "one")
    torch.rand(7)
    project.measure([2, 0], "two")
    assert project.weights(0, "one") == project.weights(0, "two")
    assert project.weights(2, "one") == project.weights(2, "two")
    assert project.weights(0, "one") != project.weights(1, "one")
    assert np.array_equal(project.predictions("one")[[2, 0]], project.predictions("two"))


@pytest.mark.parametrize("change", [{"seed": 2}, {"purpose": "confirmation"}])
def test_seed_and_purpose_draw_anew(make: Make, change: dict) -> None:
    project = make()
    project.measure([0], "one")
    project.measure([0], "two", **change)
    assert project.weights(0, "one") != project.weights(0, "two")


def test_profile_overlays_parameters(make: Make) -> None:
    answer = make().measure([0], profile="fast")
    assert answer.replicates[0].steps == 7 and answer.profile == "fast"
    assert answer.identity.parameters["train"]["epochs"] == 1


def test_examples_that_are_evaluated_do_not_train(make: Make) -> None:
    project = make(examples=100)
    clean = project.measure([0], "clean")
    leaking = digits(0, 103)
    ids = leaking.ids.copy()
    ids[100], ids[101], ids[102] = f"{1000:032x}", f"{1001:032x}", f"{1001:032x}-1"
    project.part("train", Examples(ids, leaking.inputs, leaking.targets, None, leaking.classes))
    answer = project.measure([0], "leaking")
    assert (clean.left_out, answer.left_out) == (0, 3)
    assert project.weights(0, "clean") == project.weights(0, "leaking")
    assert clean.identity.data != answer.identity.data


def test_learns_digits(make: Make) -> None:
    project = make(examples=700, evaluated=300)
    project.set(train={"epochs": 15})
    project.measure([0])
    assert (project.predictions()[0].argmax(1) == digits(1000, 1300).targets).mean() > 0.85


def test_regression_gets_predictions_in_the_shape_of_its_targets(make: Make) -> None:
    project = make("""
        from torch import nn
        def model(shape, outputs):
            return nn.Sequential(nn.Linear(shape[0], outputs), nn.Flatten(0))
        def loss(outputs, targets):
            return (outputs - targets).square().mean()
        def statistics(inputs):
            return {"mean": inputs.float().mean(0), "std": inputs.float().std(0)}
        def preprocess(inputs, statistics):
            return (inputs.float() - statistics["mean"]) / statistics["std"]
    """)
    random = np.random.default_rng(0)
    for name, start, count in (("train", 0, 200), ("validation", 500, 50)):
        inputs = random.normal(3, 2, (count, 4))
        project.part(name, Examples(some_ids(count, start), inputs, inputs @ [1.0, -2.0, 0.5, 0.0]))
    project.set(lr=0.05, train={"epochs": 60})
    project.measure([0])
    found = project.predictions()[0]
    targets = np.load(project.root / "data/validation/targets.npy")
    assert found.shape == targets.shape
    assert np.abs(found - targets).mean() < 0.2


def test_a_task_may_bring_its_own_loop(make: Make) -> None:
    project = make("""
        import numpy as np
        class Prior:
            def __init__(self, shares): self.shares = shares
            def __call__(self, inputs): return np.tile(self.shares, (len(inputs), 1))
        def fit(params, data, seed):
            noise = np.random.default_rng(seed).uniform(0, 0.1, 10) + np.random.uniform()
            return Prior(np.bincount(data.targets, minlength=10) / len(data) + noise * params["lr"])
    """)
    answer = project.measure([0, 1])
    assert [one.execution for one in answer.replicates] == ["task", "task"]
    one, two = project.predictions()
    assert one.shape == (60, 10) and not np.array_equal(one, two)
    project.measure([1], "again")
    assert np.array_equal(project.predictions("again")[0], two)


def test_user_code_on_global_generators_is_seeded_per_replicate(make: Make) -> None:
    source = """
        import random
        import numpy as np
        import torch
        from torch import nn
        class Noisy(nn.Module):
            def __init__(self, width, outputs):
                super().__init__()
                self.layer = nn.Linear(width, outputs)
            def forward(self, x):
                noise = torch.randn(1) + random.random() + np.random.rand()
                return self.layer(x.flatten(1)) + float(noise) * self.training
        def model(shape, outputs):
            return Noisy(64, outputs)
        def loss(outputs, targets):
            return nn.functional.mse_loss(outputs, nn.functional.one_hot(targets, 10).float())
        def preprocess(inputs):
            return inputs.float() / 16
    """
    project = make(source)
    project.measure([0, 1], "one")
    project.measure([1], "two")
    assert project.weights(1, "one") == project.weights(1, "two") != project.weights(0, "one")


def test_all_diverged_is_an_error_and_leaves_no_answer(make: Make) -> None:
    project = make(lr=1e30)
    project.set(train={"optimizer": "sgd"})
    with pytest.raises(AssayError, match=r"all 2 replicates diverged.*replicate 0 \(seed \d+\).*epoch 1, step \d"):
        project.measure([0, 1])
    assert not (project.root / "out" / "answer.json").exists()


def test_bytes_do_not_depend_on_where_the_project_lies(make: Make) -> None:
    one, two = make(), make()
    one.measure([0])
    two.measure([0])
    assert one.weights(0) == two.weights(0)
    assert np.array_equal(one.predictions(), two.predictions())


def test_answer_is_plain_json(make: Make) -> None:
    project = make()
    project.measure([0])
    answer = json.loads((project.root / "out" / "answer.json").read_text())
    assert answer["schema"] == 1 and answer["replicates"][0]["execution"] == "sequential"
