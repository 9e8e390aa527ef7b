"""Parameter groups: which parameters decay, at what step size each is updated, and from which epoch on.

Covers: patterns of `train.no_decay`, `lr_mult`, `freeze`, layer-wise rates, gradual unfreezing (Howard & Ruder 2018,
section 3.3). A pattern is a parameter's name with `*` for anything, or a module's name, which stands for all in it.
Not covered: the update itself (`training.optimizers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from assay.core.errors import UsageError
from assay.core.params_yaml import Train
from assay.core.short_repr import listed
from assay.training.parameter_layout import ParameterSlices

#: words of `train.no_decay` that stand for a kind of parameters
BIASES, NORMS = "biases", "norms"


@dataclass(frozen=True)
class ParameterGroup:
    """Neighbouring columns of `theta` that are updated alike."""

    start: int
    end: int
    rate: float = 1.0  # factor on the step size
    decays: bool = True
    first_epoch: int = 1  # the epoch from which on it is trained


def of(module: nn.Module, layout: ParameterSlices, settings: Train) -> list[ParameterGroup]:
    """The groups of a model, in the order of columns, as long as they can be.

    Raises UsageError for a pattern that matches no parameter.
    """
    names = list(layout.names)
    spared = _spared(module, names, settings.no_decay)
    rates, epochs = _rates(names, settings), _first_epochs(names, settings)
    found: list[ParameterGroup] = []
    ends = [*(place.start for place in layout.places[1:]), layout.width]
    for place, end in zip(layout.places, ends, strict=True):
        name = place.name
        group = ParameterGroup(place.start, end, rates[name], name not in spared, epochs[name])
        if found and (found[-1].rate, found[-1].decays, found[-1].first_epoch) == (
            group.rate,
            group.decays,
            group.first_epoch,
        ):
            group = ParameterGroup(found.pop().start, end, group.rate, group.decays, group.first_epoch)
        found.append(group)
    return found


def freeze(module: nn.Module, settings: Train) -> None:
    """Take gradients from the parameters (in place) that `train.freeze` names, unless they are freed later."""
    if not settings.freeze or settings.unfreeze_every:
        return
    trained = {name: one for name, one in module.named_parameters() if one.requires_grad}
    for name in matching(settings.freeze, trained, "train.freeze"):
        trained[name].requires_grad_(False)
    if not any(one.requires_grad for one in module.parameters()):
        raise UsageError(
            f"train.freeze {', '.join(settings.freeze)} leaves nothing to train",
            allowed=listed(trained),
            hint="name fewer parameters in params.yaml",
        )


def matching(patterns: Iterable[str], names: Iterable[str], option: str) -> set[str]:
    """Those of `names` that a pattern matches. Raises UsageError for a pattern that matches none."""
    known, found = list(names), set()
    for pattern in patterns:
        matched = {name for name in known if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")}
        if not matched:
            raise _nothing(pattern, option, known)
        found |= matched
    return found


def layers(names: Iterable[str]) -> dict[str, list[str]]:
    """Layer, from the input on, as the model lists them → names of its parameters.

    A layer is a name up to its first number (`encoder.layers.3`), else that of the module that holds the parameter.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_layer(name), []).append(name)
    return found


def _layer(name: str) -> str:
    parts = name.split(".")
    number = next((place for place, part in enumerate(parts) if part.isdigit()), None)
    return ".".join(parts[: number + 1]) if number is not None else ".".join(parts[:-1]) or name


def _spared(module: nn.Module, names: Sequence[str], patterns: Sequence[str]) -> set[str]:
    """Names of parameters that do not decay."""
    kinds = {BIASES: {name for name in names if name.rpartition(".")[2].endswith("bias")}, NORMS: _of_norms(module)}
    found = set()
    for pattern in patterns:
        matched = kinds[pattern] & set(names) if pattern in kinds else matching([pattern], names, "train.no_decay")
        if not matched:
            raise _nothing(pattern, "train.no_decay", names)
        found |= matched
    return found


def _of_norms(module: nn.Module) -> set[str]:
    """Names of the parameters of normalisation layers, known by the names of their classes, as `RMSNorm`."""
    owners = {name for name, one in module.named_modules() if "norm" in type(one).__name__.lower()}
    return {name for name, _ in module.named_parameters() if name.rpartition(".")[0] in owners}


def _rates(names: Sequence[str], settings: Train) -> dict[str, float]:
    """Name → factor on the step size."""
    found = dict.fromkeys(names, 1.0)
    if settings.layer_decay != 1:
        for above, inside in enumerate(reversed(layers(names).values())):
            found.update(dict.fromkeys(inside, settings.layer_decay**above))
    taken: dict[str, str] = {}
    for pattern, factor in settings.lr_mult.items():
        for name in matching([pattern], names, "train.lr_mult"):
            if name in taken:
                raise UsageError(
                    f"params.yaml: train.lr_mult has both {taken[name]!r} and {pattern!r} for {name}",
                    hint="leave one of them in params.yaml",
                )
            taken[name] = pattern
            found[name] *= factor
    return found


def _first_epochs(names: Sequence[str], settings: Train) -> dict[str, int]:
    """Name → epoch from which on it is trained."""
    found = dict.fromkeys(names, 1)
    if not settings.unfreeze_every:
        return found
    last = list(layers(names))[-1]
    closed = (
        matching(settings.freeze, names, "train.freeze")
        if settings.freeze
        else {name for name in names if _layer(name) != last}
    )
    waiting = layers(name for name in names if name in closed)
    for number, inside in enumerate(reversed(waiting.values()), 1):
        found.update(dict.fromkeys(inside, 1 + number * settings.unfreeze_every))
    if 1 not in found.values():
        raise UsageError(
            "train.freeze leaves nothing to train in the first epoch", allowed=listed(names), hint="name fewer"
        )
    return found


def _nothing(pattern: str, option: str, known: Sequence[str]) -> UsageError:
    return UsageError(
        f"{option} has {pattern!r}, which matches no parameter of the model",
        allowed=listed(known),
        hint=f"correct {option} in params.yaml",
    )
