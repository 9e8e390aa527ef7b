"""More kinds of fault for `doctor.py`: each takes the arguments of `examine` and plants one, or gives None.

FAULTS are those that a contract has to prove (an error), WARNED those of which a warning is asked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

Program = dict[str, Any]
Plant = Callable[[Program], Program | None]


def tensors(program: Program) -> tuple[torch.Tensor, ...] | None:
    loader = program["train_loader"]
    plain = type(getattr(loader, "dataset", None)) is TensorDataset and not isinstance(program["optimizer"], list)
    return tuple(one.clone() for one in loader.dataset.tensors) if plain else None


def labelled(program: Program) -> tuple[torch.Tensor, ...] | None:
    """Inputs and plain labels of a program with cross_entropy."""
    data = tensors(program)
    plain = data is not None and len(data) == 2 and data[1].ndim == 1 and data[1].dtype == torch.long
    return data if plain and program["loss"] is F.cross_entropy and "forward" not in program else None


def rows_of_floats(program: Program) -> tuple[torch.Tensor, ...] | None:
    data = labelled(program)
    plain = data is not None and data[0].ndim == 2 and data[0].is_floating_point() and len(data[0]) >= 64
    return data if plain and bool(data[0].isfinite().all()) and data[0].dtype == torch.float32 else None


def valued(program: Program) -> tuple[torch.Tensor, ...] | None:
    """Inputs and targets of a regression on one column."""
    data = tensors(program)
    plain = data is not None and len(data) == 2 and data[1].ndim == 2 and data[1].shape[1] == 1
    return data if plain and data[1].is_floating_point() and program["loss"] in (F.mse_loss, F.l1_loss) else None


def loaded(program: Program, *data: torch.Tensor, size: int = 8, **others: Any) -> Program:
    loader = DataLoader(TensorDataset(*data), batch_size=size, **{"shuffle": True, **others})
    return {**program, "train_loader": loader}


def loss(made: Callable[[Any, Any], Any], of: Callable[[Program], Any] = labelled) -> Plant:
    return lambda program: None if of(program) is None else {**program, "loss": made}


def metric(made: Callable[[Any, Any], Any], of: Callable[[Program], Any]) -> Plant:
    return lambda program: None if of(program) is None else {**program, "metric": made}


def model(*layers: Callable[[int, int], nn.Module], of: Callable[[Program], Any] = rows_of_floats) -> Plant:
    """A new model of a table: each layer is made from the width of the inputs and the number of classes."""

    def plant(program: Program) -> Program | None:
        data = of(program)
        if data is None:
            return None
        classes = int(data[1].max()) + 1 if not data[1].is_floating_point() else 1
        made = nn.Sequential(*(layer(data[0].shape[1], classes) for layer in layers))
        return with_model(program, made)

    return plant


def with_model(program: Program, made: nn.Module, **others: Any) -> Program:
    held = [one for one in made.parameters() if one.requires_grad]
    kept = {key: value for key, value in program.items() if key not in ("scheduler", "scheduler_unit")}
    return {**kept, "model": made, "optimizer": torch.optim.Adam(held), **others}


def settings(make: Callable[[Any], Any], **others: Any) -> Plant:
    def plant(program: Program) -> Program | None:
        if labelled(program) is None or program.get("scheduler") or program.get("accumulate"):
            return None
        held = [one for one in program["model"].parameters() if one.requires_grad]
        return {**program, "optimizer": make(held), "planned_steps": 36, **others}

    return plant


def scheduled(make: Callable[[Any], Any], steps: int = 60) -> Plant:
    def plant(program: Program) -> Program | None:
        if labelled(program) is None or program.get("scheduler"):
            return None
        schedule = make(program["optimizer"])
        return {**program, "scheduler": schedule, "scheduler_unit": "step", "planned_steps": steps}

    return plant


class Stateful(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell, self.state = nn.Linear(2 * width, width), torch.zeros(1, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.cell(torch.cat([x, self.state.expand(len(x), -1)], 1)))
        self.state = h.detach().mean(0, keepdim=True)
        return h


class Moving(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        return x - self.mean


class Listed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = [nn.Linear(width, width), nn.Linear(width, width)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        return x


class Rounded(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (4 * x).round() / 4


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return -gradient * ctx.saved_tensors[0]


class Squared(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Square.apply(x)


class LogOfAll(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs().sum(1, keepdim=True).log() + x


class Constant(nn.Module):
    """What the model says of an example is known by its place, not by its inputs."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(64, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0 * x.sum(1, keepdim=True) + self.table[: len(x)]


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(x).mean(1))


class Sees(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        return self.head(x + self.attention(x, x, x)[0])


class OwnGenerator(TensorDataset):
    def __init__(self, *data: torch.Tensor) -> None:
        super().__init__(*data)
        self.rng = np.random.default_rng(1)

    def __getitem__(self, index: int) -> Any:
        row, label = super().__getitem__(index)
        return row + 0.1 * float(self.rng.standard_normal()), label


class LookedUp(TensorDataset):
    known = frozenset({1, 2})

    def __getitem__(self, index: int) -> Any:
        row, label = super().__getitem__(index)
        return row, int(label in self.known)


def texts(program: Program, made: nn.Module, loss_of: Any, shifted: bool, **others: Any) -> Program | None:
    """A program on texts, in place of each one on integers."""
    data = tensors(program)
    if data is None or data[0].is_floating_point() or data[0].ndim != 2:
        return None
    text = torch.randint(1, 11, (96, 9))
    pair = (text[:, :-1], text[:, 1:]) if shifted else (text, text[:, 0] % 2)
    found = with_model({key: program[key] for key in ("model", "optimizer")}, made, loss=loss_of, **others)
    return loaded(found, *pair)


def tokens(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def padded(program: Program) -> Program | None:
    found = texts(program, Bag(), F.cross_entropy, False, pad_id=0)
    if found is not None:
        found["train_loader"].dataset.tensors[0][:, 5:] = 0
    return found


def equal_weights(program: Program) -> Program | None:
    layers = [one for one in program["model"].modules() if isinstance(one, nn.Linear)]
    if labelled(program) is None or len(layers) < 2 or any(not one.weight.requires_grad for one in layers):
        return None
    for one in layers:
        nn.init.constant_(one.weight, 0.05)
        if one.bias is not None:
            nn.init.zeros_(one.bias)
    return program


def replaced(program: Program) -> Program | None:
    inner = program["model"]
    if labelled(program) is None or not isinstance(inner, nn.Sequential) or not isinstance(inner[-1], nn.Linear):
        return None
    inner[-1] = nn.Linear(inner[-1].in_features, inner[-1].out_features)
    return None if program.get("scheduler") else program


def other_schedule(program: Program) -> Program | None:
    if labelled(program) is None or program.get("scheduler"):
        return None
    own = torch.optim.SGD(copy.deepcopy(program["model"]).parameters(), 0.1)
    return {**program, "scheduler": torch.optim.lr_scheduler.StepLR(own, 10)}


def data(change: Callable[..., Any], of: Callable[[Program], Any] = rows_of_floats, **others: Any) -> Plant:
    """`change(inputs, targets)` gives those that are loaded."""

    def plant(program: Program) -> Program | None:
        found = of(program)
        return None if found is None else loaded(program, *change(*found), **others)

    return plant


def dataset(kind: Any, **others: Any) -> Plant:
    def plant(program: Program) -> Program | None:
        found = rows_of_floats(program)
        if found is None:
            return None
        return {**program, "train_loader": DataLoader(kind(*found), batch_size=8, shuffle=True, **others)}

    return plant


def flat_targets(program: Program) -> Program | None:
    found = valued(program)
    return None if found is None else loaded(program, found[0], found[1][:, 0])


def first(width: int, _: int) -> nn.Module:
    return nn.Linear(width, 16)


def last(_: int, classes: int) -> nn.Module:
    return nn.Linear(16, classes)


def layer(make: Callable[[], nn.Module]) -> Callable[[int, int], nn.Module]:
    return lambda width, classes: make()


FAULTS: dict[str, Plant] = {
    "targets rolled in the loss": loss(lambda o, t: F.cross_entropy(o, t.roll(1))),
    "targets flipped in the loss": loss(lambda o, t: F.cross_entropy(o, t.flip(0))),
    "targets rolled, regression": loss(lambda o, t: F.mse_loss(o, t.roll(1, 0)), valued),
    "means compared": loss(lambda o, t: (o.mean() - t.mean()).square(), valued),
    "logits clamped in the loss": loss(lambda o, t: F.cross_entropy(o.clamp(-1, 1), t)),
    "sigmoid in the loss": loss(lambda o, t: F.cross_entropy(o.sigmoid(), t)),
    "softmax twice, by hand": loss(lambda o, t: -o.softmax(1).log_softmax(1).gather(1, t[:, None]).mean()),
    "minus left out, by hand": loss(lambda o, t: o.log_softmax(1).gather(1, t[:, None]).mean()),
    "logits into nll_loss": loss(F.nll_loss),
    "class 0 ignored": loss(nn.CrossEntropyLoss(ignore_index=0)),
    "flat targets, broadcast": flat_targets,
    "metric without abs": metric(lambda o, t: (o - t).mean(), valued),
    "sigmoid before a regression": lambda program: (
        None if valued(program) is None else {**program, "model": nn.Sequential(program["model"], nn.Sigmoid())}
    ),
    "equal weights": equal_weights,
    "dropout of everything": model(first, layer(nn.ReLU), layer(lambda: nn.Dropout(1.0)), last),
    "BatchNorm that never follows": model(first, layer(lambda: nn.BatchNorm1d(16, momentum=0.0)), layer(nn.ReLU), last),
    "buffers move in evaluation": model(first, layer(lambda: Moving(16)), layer(nn.ReLU), last),
    "layers in a plain list": model(first, layer(lambda: Listed(16)), last),
    "rounded on the way": model(first, layer(Rounded), last),
    "state from batch to batch": model(first, layer(lambda: Stateful(16)), last),
    "two linear layers in a row": model(first, layer(lambda: nn.Linear(16, 16)), layer(nn.ReLU), last),
    "backward of the wrong sign": model(first, layer(Squared), last),
    "log of a row of zeros": lambda program: data(lambda x, y: (x.index_fill(0, torch.tensor([5]), 0.0), y))(
        model(layer(LogOfAll), first, layer(nn.ReLU), last)(program) or {**program, "loss": None}
    ),
    "one output for all classes": model(first, layer(nn.ReLU), layer(lambda: nn.Linear(16, 1)), of=rows_of_floats),
    "last layer replaced": replaced,
    "all parameters twice": settings(lambda held: torch.optim.SGD([*held, *held], 0.01)),
    "schedule of another optimizer": other_schedule,
    "inputs all zero": data(lambda x, y: (0 * x, y)),
    "NaN among the targets": data(lambda x, y: (x, y.index_fill(0, torch.tensor([3]), float("nan"))), valued),
    "classes from 1 on": data(lambda x, y: (x, y + 1)),
    "a last batch of one": lambda program: data(lambda x, y: (x[:57], y[:57]))(
        model(first, layer(lambda: nn.BatchNorm1d(16)), layer(nn.ReLU), last)(program) or {**program, "loss": None}
    ),
    "generator copied to workers": dataset(OwnGenerator, num_workers=2),
    "language model without a mask": lambda program: texts(program, Sees(), tokens, True),
    "softmax along time": lambda program: texts(
        program,
        nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 11)),
        lambda o, t: F.nll_loss(o.log_softmax(1).flatten(0, 1), t.flatten()),
        True,
    ),
    "padding in the mean": padded,
}

WARNED: dict[str, Plant] = {
    "ReLU on logits": model(first, layer(nn.ReLU), last, layer(nn.ReLU)),
    "metric of all pairs": metric(lambda o, t: (o.argmax(1) == t[:, None]).float().mean(), labelled),
    "a term without a gradient": loss(lambda o, t: F.cross_entropy(o, t) + o.detach().square().mean()),
    "a term that drowns the other": loss(lambda o, t: F.cross_entropy(o, t) + 1e6 * (o.sum(1) - 3).square().mean()),
    "BatchNorm with Keras's momentum": model(
        first, layer(lambda: nn.BatchNorm1d(16, momentum=0.99)), layer(nn.ReLU), last
    ),
    "answers by place": model(lambda width, classes: Constant(classes)),
    "tensors as keys": dataset(LookedUp),
    "inputs of a millionth": data(lambda x, y: (1e-6 * x, y)),
    "epsilon of 1000": settings(lambda held: torch.optim.Adam(held, 1e-2, eps=1e3)),
    "decay of 1000": settings(lambda held: torch.optim.AdamW(held, 1e-2, weight_decay=1e3)),
    "rate 1e8": settings(lambda held: torch.optim.SGD(held, 1e8)),
    "a rate below 0 at the end": scheduled(lambda one: torch.optim.lr_scheduler.LambdaLR(one, lambda n: 1 - n / 30)),
    "cosine that rises again": scheduled(lambda one: torch.optim.lr_scheduler.CosineAnnealingLR(one, 30)),
    "saturated tanh": model(lambda w, _: nn.Linear(w, 16), layer(lambda: Scaled(1e5)), layer(nn.Tanh), last),
    "labels in runs": lambda program: (
        None
        if rows_of_floats(program) is None
        else loaded(
            with_model(program, nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))),
            torch.randn(96, 8),
            (torch.arange(96) // 24) % 2,
            shuffle=False,
        )
    ),
    "batches of two behind BatchNorm": lambda program: data(lambda x, y: (x[:64], y[:64]), size=2)(
        model(first, layer(lambda: nn.BatchNorm1d(16)), layer(nn.ReLU), last)(program) or {**program, "loss": None}
    ),
}


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x
