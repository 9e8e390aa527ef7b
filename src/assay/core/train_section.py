"""The section `train` of params.yaml: the training recipe. Every option is off by default.

Covers: names, ranges, and options that exclude each other, refused before anything runs. Not covered: what only a model
or its data can tell, such as a pattern that matches no parameter (`training.parameter_groups`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from assay.core.errors import UsageError
from assay.core.params_section import Section

Count = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, lt=1)]
Fading = Annotated[float, Meta(ge=0, lt=1)]  # share of a running mean that stays at each step


class Train(Section, frozen=True, kw_only=True):
    epochs: Count = 20  # times that each training example is visited
    batch_size: Count = 64  # training examples a step
    #: update rule; a task may bring an `optimizer()` of its own
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad"] = "adam"
    momentum: Fading = 0.0  # for sgd and rmsprop only
    weight_decay: NotNegative = 0.0  # as in torch.optim: an L2 penalty; decoupled for adamw
    #: of the step size; all but constant and step fall to min_lr, restarts again and again
    schedule: Literal["constant", "linear", "cosine", "onecycle", "step", "restarts"] = "constant"
    clip: NotNegative = 0.0
    sample: Annotated[float, Meta(gt=0, le=1)] = 1.0
    precision: Literal["float32", "tf32", "bfloat16", "float64"] = "float32"
    deterministic: bool = True  # deterministic kernels; an operation without one is named in the log
    nesterov: bool = False  # Nesterov's momentum, for sgd with momentum
    beta1: Fading = 0.9  # of adam and adamw: how much of the mean gradient stays at each step
    beta2: Fading = 0.999  # the same of the mean squared gradient
    alpha: Fading = 0.99  # the same for rmsprop
    eps: Positive | None = None  # added to the denominator; not set: torch's, 1e-8, for adagrad 1e-10
    warmup_epochs: NotNegative = 0.0  # the step size rises from 0 to lr first; the schedule begins after it
    min_lr: NotNegative = 0.0  # where linear, cosine and restarts end
    step_epochs: Count | None = None  # of schedule step: epochs until the step size is multiplied by gamma
    gamma: Annotated[float, Meta(gt=0, le=1)] = 0.1  # of schedule step
    restart_epochs: Count | None = None  # of schedule restarts: epochs of the first cosine
    restart_mult: Count = 1  # of schedule restarts: how many times longer each cosine is than the one before
    pct_start: Annotated[float, Meta(gt=0, lt=1)] = 0.3  # of schedule onecycle: share of the steps in which it rises
    no_decay: list[str] = []  # parameters without weight decay and l1: patterns of names, or `biases`, `norms`
    lr_mult: dict[str, Positive] = {}  # pattern of names → factor on the step size of these parameters
    layer_decay: Annotated[float, Meta(gt=0, le=1)] = 1.0  # factor on the step size from each layer to the one below it
    freeze: list[str] = []  # parameters that keep their first values: patterns of names
    #: frozen layers, or all but the last, are freed from the top, one every so many epochs; 0 never
    unfreeze_every: Annotated[int, Meta(ge=0)] = 0
    accumulate: Count = 1  # batches whose gradients make one step, as one batch that is so many times larger
    loss_weights: dict[str, NotNegative] = {}  # term of a loss that returns several by name → its weight; 1 if left out
    #: processes that train one replicate together, started by torchrun, for a loop of the task's own: fit()
    processes_per_replicate: Annotated[int, Meta(ge=1, le=1024)] = 1
    l1: NotNegative = 0.0  # factor of the sum of absolute weights in what is minimised
    mixup: NotNegative = 0.0  # each example mixed with another, by a share from Beta(mixup, mixup); 0 is off
    cutmix: NotNegative = 0.0  # each image with a box of another one, of a share from Beta(cutmix, cutmix)
    #: images changed by chance: flip, flip_vertical, erase, shift, rotate (degrees), brightness, contrast, noise
    augment: dict[str, NotNegative] = {}
    start_from: str = ""  # file of safetensors, seen from dvc.yaml, with the weights that the model begins with
    start_skip: list[str] = []  # parameters that begin as without it, such as a new last layer: patterns of names
    #: rule for first weights of linear layers and convolutions, in place of their own
    init: Literal["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"] | None = None
    prior_bias: bool = False  # the last bias begins with how frequent each class is, or with the mean of the targets
    ema_decay: Fading = 0.0  # running mean of the weights, which then is what is judged and kept; 0 is off
    stratify: bool = False  # sample takes its share of each class, or of each tenth of the values
    #: share of the training part that does not train; the weights of its lowest loss are kept, or fit() gets it apart
    holdout: Share | UnsetType = UNSET
    #: file of a teacher's probabilities for the training examples, as assay export --soft-targets writes it
    soft_targets: str = ""
    soft_share: Annotated[float, Meta(gt=0, le=1)] = 1.0  # of them in the targets; the rest is the example's own class
    patience: Count | None = None  # epochs without a lower loss of the holdout after which a replicate ends


#: options of the first releases; each later one is part of a strategy's identity only where it is not at its default
FIRST = frozenset(
    (
        *("epochs", "batch_size", "optimizer", "momentum", "weight_decay", "schedule"),
        *("clip", "sample", "precision", "deterministic"),
    )
)
#: option → what it belongs to
OF_OPTIMIZER = {
    "nesterov": ("sgd",),
    "beta1": ("adam", "adamw"),
    "beta2": ("adam", "adamw"),
    "alpha": ("rmsprop",),
    "eps": ("adam", "adamw", "rmsprop", "adagrad"),
}
_OF_SCHEDULE = {
    "min_lr": ("linear", "cosine", "restarts"),
    "warmup_epochs": ("constant", "linear", "cosine", "step", "restarts"),
    "step_epochs": ("step",),
    "gamma": ("step",),
    "restart_epochs": ("restarts",),
    "restart_mult": ("restarts",),
    "pct_start": ("onecycle",),
}
#: changes of images → the largest value that has a meaning
AUGMENT = {
    "flip": 1.0,
    "flip_vertical": 1.0,
    "erase": 1.0,
    "shift": 1.0,
    "rotate": 180.0,
    "brightness": math.inf,
    "contrast": 1.0,
    "noise": math.inf,
}
_NEEDED = {"step": "step_epochs", "restarts": "restart_epochs"}
_PLAIN = Train()


def written(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a section as plain values, without those that came later and are at their default."""
    default: dict[str, Any] = msgspec.to_builtins(_PLAIN)
    return {name: value for name, value in given.items() if name in FIRST or value != default.get(name)}


def changed(train: Train, names: Iterable[str]) -> list[str]:
    """Those of `names` that are not at their default."""
    return [name for name in names if getattr(train, name) != getattr(_PLAIN, name)]


def check(train: Train, lr: float, where: str) -> None:
    """Raise UsageError for the first two options that exclude each other."""
    for option, table in (("optimizer", OF_OPTIMIZER), ("schedule", _OF_SCHEDULE)):
        chosen = getattr(train, option)
        for name in changed(train, table):
            if chosen not in table[name]:
                raise UsageError(
                    f"{where} has train.{name}, and train.{option} is {chosen}",
                    allowed=f"train.{name} with train.{option}: {', '.join(table[name])}",
                    hint=f"remove train.{name}, or set train.{option} in params.yaml",
                )
    for name, value in train.augment.items():
        if name not in AUGMENT:
            raise UsageError(
                f"{where}: unknown parameter 'train.augment.{name}'",
                allowed=", ".join(AUGMENT),
                hint="remove it in params.yaml",
            )
        if value > AUGMENT[name]:
            raise UsageError(
                f"{where}: train.augment.{name} is {value:g}", allowed=f"up to {AUGMENT[name]:g}", hint="lower it"
            )
    needed = _NEEDED.get(train.schedule)
    if needed and getattr(train, needed) is None:
        raise UsageError(f"{where}: train.schedule {train.schedule} lacks train.{needed}", hint="add it in params.yaml")
    for problem, hint in _problems(train, lr):
        raise UsageError(f"{where}: {problem}", hint=f"{hint} in params.yaml")


def _problems(train: Train, lr: float) -> Iterator[tuple[str, str]]:
    if train.nesterov and not train.momentum:
        yield "train.nesterov needs train.momentum, which is 0", "set train.momentum"
    if train.min_lr > lr:
        yield f"train.min_lr {train.min_lr:g} is above lr {lr:g}", "lower train.min_lr"
    if train.patience is not None and train.holdout is UNSET:
        yield f"train.patience {train.patience} needs train.holdout", "set train.holdout, such as 0.1,"
    if train.soft_share != 1.0 and not train.soft_targets:
        yield f"train.soft_share {train.soft_share:g} needs train.soft_targets", "set train.soft_targets"
    if train.start_skip and not train.start_from:
        yield "train.start_skip needs train.start_from", "set train.start_from"
    if train.warmup_epochs >= train.epochs:
        yield f"train.warmup_epochs {train.warmup_epochs:g} leaves none of {train.epochs} epochs", "lower it"
    if "*" in train.freeze and not train.unfreeze_every:
        yield "train.freeze has '*', which leaves nothing to train", "name fewer parameters"
