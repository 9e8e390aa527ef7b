"""A task that breaks the contract is refused in one sentence that names the file and what is expected."""

from __future__ import annotations

import pytest
from miniature import Make

from assay.core.errors import UsageError

GOOD = {
    "head": "import torch\nfrom torch import nn\n",
    "model": "def model(shape, outputs, *, hidden=8): return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))\n",
    "loss": "def loss(outputs, targets):\n    return nn.functional.cross_entropy(outputs, targets)\n",
    "preprocess": "def preprocess(inputs):\n    return inputs.float()\n",
}

BROKEN = {
    "import": (
        {"head": "import nowhere_to_be_found\n"},
        r"task failed at .*learning\.py:1: ModuleNotFoundError.*nowhere_to_be_found",
    ),
    "syntax": ({"head": "def broken(:\n"}, r"task failed at .*learning\.py: SyntaxError"),
    "no loss": ({"loss": ""}, r"learning\.py: lacks loss\(\); allowed: loss\(outputs, targets\)"),
    "no model": ({"model": ""}, r"lacks model\(\); allowed: model\(shape, outputs, \*\*model parameters\)"),
    "loss takes one": ({"loss": "def loss(outputs): return outputs.mean()\n"}, r"loss\(outputs\) cannot be called"),
    "model is no module": ({"model": "def model(shape, outputs): return 3\n"}, r"model\(\) returns int"),
    "model raises": ({"model": "def model(shape, outputs): return 1 / 0\n"}, r"model\(\) fails with ZeroDivisionError"),
    "nothing to train": ({"model": "def model(shape, outputs): return nn.Flatten()\n"}, "without parameters to train"),
    "forward raises": ({"model": "def model(shape, outputs): return nn.Linear(3, outputs)\n"}, r"the model fails on"),
    "too few outputs": (
        {
            "model": "def model(shape, outputs): return nn.Sequential(nn.Flatten(), nn.Linear(64, 9))\n",
            "loss": "def loss(outputs, targets): return outputs.square().mean()\n",
        },
        r"predictions have shape \(8, 9\); allowed: \(8, 10\)",
    ),
    "loss per example": (
        {"loss": "def loss(outputs, targets): return outputs.sum(1)\n"},
        r"loss\(\) returns \(8,\); allowed: a scalar Tensor",
    ),
    "loss without gradient": (
        {"loss": "def loss(outputs, targets): return outputs.detach().mean()\n"},
        "does not depend on the model's parameters",
    ),
    "preprocess drops rows": (
        {"preprocess": "def preprocess(inputs): return inputs.float()[:3]\n"},
        r"preprocess\(\) returns \(3, 8, 8\) for 100 examples",
    ),
    "predict drops a class": (
        {"predict": "def predict(outputs): return outputs[:, :4]\n"},
        r"predictions have shape \(8, 4\)",
    ),
    "predictor of the wrong shape": (
        {"fit": "def fit(params, data, seed): return lambda inputs: inputs.mean((1, 2))\n"},
        r"predictor of fit\(\) returns \(60,\)",
    ),
    "fit returns nothing": ({"fit": "def fit(params, data, seed): return None\n"}, r"fit\(\) returns NoneType"),
    "augment returns one": (
        {"augment": "def augment(inputs, targets, generator): return inputs\n"},
        r"augment\(\) does not return two Tensors",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_task_is_one_sentence(make: Make, name: str) -> None:
    change, expected = BROKEN[name]
    project = make("".join((GOOD | change).values()), examples=100)
    with pytest.raises(UsageError, match=expected) as caught:
        project.measure([0])
    assert project.task in caught.value.sentence and "\n" not in caught.value.sentence
    assert not (project.root / "out" / "answer.json").exists()


def test_the_unbroken_task_trains(make: Make) -> None:
    assert make("".join(GOOD.values()), examples=100).measure([0]).replicates[0].steps == 8


def test_unknown_model_parameter_names_the_known_ones(make: Make) -> None:
    with pytest.raises(
        UsageError, match=r"model\.hiden is no parameter of model\(\).*allowed: hidden, layers, dropout"
    ):
        make(model={"hiden": 3}).measure([0])


def test_missing_task_is_named(make: Make) -> None:
    project = make(task={"name": "nobody"})
    with pytest.raises(UsageError, match=r"src/tasks/nobody/learning\.py does not exist"):
        project.measure([0])
