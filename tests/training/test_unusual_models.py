"""Models that are not layers of dense real numbers train as they are written, in every way of execution, or are refused
before the first step."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
import safetensors.torch
import torch
from miniature import Make, Project

from assay.core.errors import UsageError
from assay.training import optimizers

HEAD = """
import torch
from torch import nn

def loss(outputs, targets):
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

def preprocess(inputs):
    return inputs.float() / 16

class Mixed(nn.Module):
    def __init__(self, outputs, mix, kind="buffer"):
        super().__init__()
        self.inner = nn.Linear(64, outputs)
        if kind == "buffer":
            self.register_buffer("mix", mix)
        else:
            self.mix = nn.Parameter(mix, requires_grad=kind == "trained")
    def forward(self, x):
        made = self.inner(x.flatten(1))
        return (made.to(self.mix.dtype) @ self.mix).abs() if self.mix.is_complex() else made @ self.mix

class Embedded(nn.Module):
    def __init__(self, outputs, sparse):
        super().__init__()
        self.table, self.out = nn.Embedding(17, 4, sparse=sparse), nn.Linear(256, outputs)
    def forward(self, x):
        return self.out(self.table((x.flatten(1) * 16).long()).flatten(1))

def layers(outputs, lazy=False):
    one = nn.LazyLinear(16) if lazy else nn.Linear(64, 16)
    two = nn.LazyLinear(outputs) if lazy else nn.Linear(16, outputs)
    return nn.Sequential(nn.Flatten(), one, nn.ReLU(), two)

def model(shape, outputs):
"""
COMPLEX = "    return Mixed(outputs, torch.eye(outputs) * (0.6 + 0.8j), {kind!r})\n"
WAYS = ("sequential", "fused", "processes")


def measured(project: Project, way: str) -> tuple[np.ndarray, dict[str, torch.Tensor]]:
    """Predictions of two replicates, and the weights of the second."""
    found = project.measure([0, 1], way, execution=way)
    assert {one.execution for one in found.replicates} == {way}, found.texts()
    return project.predictions(way), safetensors.torch.load(project.weights(1, way))


def alike(project: Project, ways: tuple[str, ...] = WAYS) -> dict[str, torch.Tensor]:
    """The weights of the second replicate, after all `ways` gave the same to rounding."""
    first, *others = [measured(project, way) for way in ways]
    for predictions, weights in others:
        assert np.allclose(first[0], predictions, atol=1e-4)
        assert all(torch.allclose(weights[name], one, atol=1e-4) for name, one in first[1].items())
    return first[1]


@pytest.mark.parametrize("kind", ["trained", "frozen", "buffer"])
def test_complex(make: Make, kind: str) -> None:
    weights = alike(make(HEAD + COMPLEX.format(kind=kind)))
    assert weights["mix"].dtype == torch.complex64
    start = torch.eye(10) * (0.6 + 0.8j)
    if kind == "trained":
        assert ((weights["mix"] - start).imag.abs() > 1e-4).float().mean() > 0.9, "imaginary parts train, too"
        assert ((weights["mix"] - start).real.abs() > 1e-4).float().mean() > 0.9
    else:
        assert torch.equal(weights["mix"], start)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_complex_updates_are_those_of_torch(name: str) -> None:
    drawn = torch.randn(4, 3, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    theirs = torch.nn.Parameter(drawn[0].clone())
    ours = torch.view_as_real(drawn[0].clone()).reshape(1, -1)
    if name == "sgd":
        rule, optimizer = optimizers.sgd(0.9, 0.1), torch.optim.SGD([theirs], 0.1, momentum=0.9, weight_decay=0.1)
    else:
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        rule, optimizer = optimizers.adam(0.1, decoupled=name == "adamw"), kind([theirs], 0.1, weight_decay=0.1)
    slots = rule.start(ours)
    for step in (1, 2, 3):
        theirs.grad = drawn[step].clone()
        optimizer.step()
        rule.update(ours, torch.view_as_real(drawn[step]).reshape(1, -1), slots, 0.1, step)
    assert torch.allclose(torch.view_as_complex(ours.view(3, 5, 2)), theirs.detach(), atol=1e-6)


def test_buffers_in_any_order_of_memory(make: Make) -> None:
    mix = "torch.eye(outputs).roll(1, 0)"
    plain = alike(make(f"{HEAD}    return Mixed(outputs, {mix}.t().contiguous())\n"), ("sequential",))
    turned = alike(make(f"{HEAD}    return Mixed(outputs, {mix}.t())\n"))
    assert all(torch.equal(plain[name], one) for name, one in turned.items())
    spread = alike(
        make(f"{HEAD}    return Mixed(outputs, torch.ones(1, 1).expand(outputs, outputs))\n"), ("sequential",)
    )
    assert spread["mix"].shape == (10, 10)
    view = alike(make(f"{HEAD}    return Mixed(outputs, (torch.eye(outputs) * 1j).conj())\n"), ("sequential",))
    assert torch.equal(view["mix"], torch.eye(10) * -1j)


def test_lazy_layers_start_like_all_others(make: Make) -> None:
    """Drawn from the same stream, in the order in which the first batch meets them."""
    lazy = alike(make(f"{HEAD}    return layers(outputs, lazy=True)\n"))
    plain = alike(make(f"{HEAD}    return layers(outputs)\n"), ("sequential",))
    assert all(torch.equal(lazy[name], one) for name, one in plain.items())
    normed = f"{HEAD}    return nn.Sequential(layers(outputs, lazy=True), nn.LazyBatchNorm1d())\n"
    for way in ("sequential", "fused"):  # a bias before a normalisation follows rounding alone
        assert measured(make(normed), way)[1]["1.running_mean"].abs().sum() > 0


def test_sparse_gradients_are_gradients(make: Make) -> None:
    sparse = alike(make(f"{HEAD}    return Embedded(outputs, True)\n"))
    dense = alike(make(f"{HEAD}    return Embedded(outputs, False)\n"), ("sequential",))
    assert all(torch.allclose(sparse[name], one, atol=1e-6) for name, one in dense.items())


def test_scripted_models(make: Make) -> None:
    scripted = alike(make(f"{HEAD}    return torch.jit.script(layers(outputs))\n"))
    plain = alike(make(f"{HEAD}    return layers(outputs)\n"), ("sequential",))
    assert all(torch.allclose(scripted[name], one, atol=1e-5) for name, one in plain.items())
    alike(make(f"{HEAD}    return nn.Sequential(layers(outputs), torch.jit.script(nn.Linear(10, 10)))\n"))
    dropping = make(f"{HEAD}    return torch.jit.script(nn.Sequential(layers(outputs), nn.Dropout(0.5)))\n")
    assert not np.array_equal(*measured(dropping, "sequential")[0]), "each replicate draws masks of its own"
    first = dropping.weights(1, "sequential")
    dropping.measure([1], "again")
    assert dropping.weights(1, "again") == first


def test_parameters_as_they_were_written(make: Make) -> None:
    """A date, and a mapping from classes to numbers, whose keys are none of JSON's."""
    source = HEAD.replace("def model(shape, outputs)", "def model(shape, outputs, since, weights)")
    body = "    assert (since.year, weights[3]) == (2020, 1.5)\n    return layers(outputs)\n"
    project = make(source + body, model={"since": datetime.date(2020, 1, 1), "weights": {3: 1.5}})
    for way in WAYS:
        project.measure([0, 1], way, execution=way)
    fitting = """
        def fit(params, data, seed):
            assert (params["model"]["since"].year, params["model"]["weights"][3]) == (2020, 1.5)
            return lambda inputs: [[0.1] * 10] * len(inputs)
    """
    make(fitting, model=project.params["model"]).measure([0])


REFUSED = [
    ("Mixed(outputs, torch.eye(outputs).to_sparse())", {}, "'mix' of the model is sparse_coo, which no file of"),
    ("Mixed(outputs, torch.eye(outputs) * 1j)", {"precision": "float64"}, "'mix' of the model is complex128, which"),
    ("nn.Sequential(layers(outputs), nn.Linear(10, 10, dtype=torch.complex64))", {}, "the model fails on inputs"),
    ("nn.Sequential(nn.LazyConv2d(3, 3), nn.Flatten(), nn.Linear(8, 2))", {}, "the model fails on inputs of shape"),
    ("torch.jit.script(nn.Sequential(nn.Linear(3, outputs)))", {}, "the model fails on inputs of shape"),
]


@pytest.mark.parametrize(("model", "settings", "said"), REFUSED, ids=[said for *_, said in REFUSED])
def test_refused_before_the_first_step(make: Make, model: str, settings: dict, said: str) -> None:
    project = make(f"{HEAD}    return {model}\n")
    project.set(train=settings)
    for way in WAYS:
        with pytest.raises(UsageError, match=said):
            project.measure([0, 1], execution=way)


def test_complex_outputs_are_refused(make: Make) -> None:
    source = HEAD.replace("return -outputs", "return -outputs.abs()")
    with pytest.raises(UsageError, match=r"the model returns complex numbers; allowed: real ones"):
        make(
            f"{source}    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), Complex())\nclass Complex(nn.Module):\n"
            "    def forward(self, x):\n        return x * 1j\n"
        ).measure([0])
