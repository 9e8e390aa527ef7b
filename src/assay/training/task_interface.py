"""What a task's `learning.py` offers, checked before the first training step.

    model(shape, outputs, **model parameters) -> nn.Module        required
    loss(outputs, targets) -> scalar mean, or dict of several      required, or loss.name
    preprocess(inputs) -> Tensor                                  default: as they are
    statistics(train inputs) -> dict of Tensor                    then preprocess(inputs, statistics)
    transform() -> a scikit-learn transformer                     fitted on training rows; or the transformer itself
    decode(example) -> Tensor or dict of Tensors                  once, kept in a cache; default: none
    collate(list of examples) -> Tensor or dict of Tensors        a batch of unequal ones; default: none
    predict(outputs) -> Tensor                                    default: softmax for classes, else as they are
    score(outputs, targets) -> Tensor (N, …)                      kept instead of predictions, which are too large
    augment(inputs, targets, generator) -> (inputs, targets)      default: none
    optimizer(parameters, settings) -> torch.optim.Optimizer      default: train.optimizer
    fit(params, data, seed, log) -> module or function            a loop of its own, in place of ours
    load(params, weights) -> module or function                   what fit() returned, from its state_dict()

Covers: loading, signatures, shapes on a first batch. Not covered: whether the training code is sane.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from assay.core.errors import AssayError, UsageError
from assay.data.named_targets import TargetPart
from assay.runtime import sys_path, task_source
from assay.training import example_batch

#: member → arguments as the contract names them
MEMBERS: dict[str, tuple[str, ...]] = {
    "model": ("shape", "outputs"),
    "loss": ("outputs", "targets"),
    "preprocess": ("inputs",),
    "statistics": ("inputs",),
    "transform": (),
    "decode": ("example",),
    "collate": ("examples",),
    "predict": ("outputs",),
    "score": ("outputs", "targets"),
    "augment": ("inputs", "targets", "generator"),
    "optimizer": ("parameters", "settings"),
    "fit": ("params", "data", "seed", "log"),
    "load": ("params", "weights"),
}

#: members of a loop of the task's own
_OWN_LOOP = ("fit", "load")
#: what `check_storable` allows
_STORED = "dense tensors of real numbers, or of complex64 (train.precision float32)"


@dataclass(frozen=True)
class Task:
    """The members of one task; None where it leaves the default."""

    name: str
    file: str
    root: Path = Path()  # folder of dvc.yaml
    model: Callable[..., nn.Module] | None = None
    loss: Callable[[Tensor, Tensor], Any] | None = None  # a scalar, or a dict of scalars
    preprocess: Callable[..., Tensor] | None = None
    statistics: Callable[[Tensor], dict[str, Tensor]] | None = None
    transform: Any = None  # a function, or what has fit() and transform()
    decode: Callable[..., Any] | None = None
    collate: Callable[[list[Any]], Any] | None = None
    predict: Callable[[Tensor], Tensor] | None = None
    score: Callable[[Tensor, Tensor], Tensor] | None = None
    augment: Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]] | None = None
    optimizer: Callable[..., torch.optim.Optimizer] | None = None
    fit: Callable[..., Any] | None = None
    load: Callable[..., Any] | None = None
    parts: tuple[TargetPart, ...] | None = None  # of a target, where an example has several
    ready_loss: tuple[str, dict[str, Any]] | None = None  # name and options, where `loss` is a ready one

    def refuse(self, problem: str, expected: str = "") -> UsageError:
        return UsageError(f"{self.file}: {problem}", allowed=expected)

    def call(self, member: str, *arguments: Any, **named: Any) -> Any:
        """Call a member; what it raises becomes one sentence that names it."""
        return self.guarded(member, lambda: getattr(self, member)(*arguments, **named))

    def guarded(self, member: str, action: Callable[[], Any]) -> Any:
        """What `action` gives, which runs code of `member`."""
        try:
            return action()
        except AssayError:
            raise
        except Exception as error:
            where = task_source.at_line(self.root, error)
            known = where and member in _OWN_LOOP  # a loop is long: its line says more than how it is called
            raise self.refuse(f"{member}() fails with {brief(error)}{where}", "" if known else _form(member)) from error


def load(name: str, root: Path, model_parameters: Mapping[str, Any], ready_loss: str = "") -> Task:
    """The task `tasks.NAME.learning` of the project at `root`; UsageError when it breaks the contract.

    It needs no loss() where params.yaml names a ready one.
    """
    members = _members(_import(name, root))
    task = Task(name=name, file=task_source.where(root, name, "learning"), root=root, **members)
    if task.fit is None:
        for required in ("model", "loss"):
            if getattr(task, required) is None and not (required == "loss" and ready_loss):
                raise task.refuse(f"lacks {required}()", _form(required))
    for member, function in members.items():
        if hasattr(function, "fit"):  # a transformer, not a function that returns one
            continue
        _check_signature(task, member, function, model_parameters if member == "model" else {})
    return task


def of_module(module: ModuleType, name: str, file: str) -> Task:
    """The task in a module that was imported from elsewhere, as it was checked when it trained."""
    return Task(name=name, file=file, **_members(module))


def _members(module: ModuleType) -> dict[str, Any]:
    members = {member: getattr(module, member) for member in MEMBERS if callable(getattr(module, member, None))}
    if "fit" not in members:
        members.pop("load", None)  # a helper of that name, which is none of ours
    if hasattr(getattr(module, "transform", None), "fit"):
        members["transform"] = module.transform
    return members


def _import(name: str, root: Path) -> ModuleType:
    file = task_source.where(root, name, "learning")
    if not (root / file).is_file():
        raise UsageError(f"{file} does not exist", hint="write it, or change task.name in params.yaml")
    sys_path.activate(root)  # for good: its functions may import when they are called
    return task_source.imported(root, name, "learning")


def _check_signature(task: Task, member: str, function: Callable[..., Any], named: Mapping[str, Any]) -> None:
    expected = MEMBERS[member]
    if member == "fit" and binds(function, *expected[:3]):
        return  # the form before log, or one that does without
    if member == "preprocess" and task.statistics is not None:
        expected = ("inputs", "statistics")
    try:
        signature = inspect.signature(function)
        signature.bind(*expected, **named)
    except (TypeError, ValueError) as error:
        if member == "model" and named:
            _refuse_parameters(task, function, named)
        raise task.refuse(f"{member}{_signature(function)} cannot be called: {error}", _form(member)) from error


def binds(function: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
    """Whether `function` can be called so, as far as its signature tells."""
    try:
        inspect.signature(function).bind(*arguments, **named)
    except (TypeError, ValueError):
        return False
    return True


def _refuse_parameters(task: Task, function: Callable[..., Any], named: Mapping[str, Any]) -> None:
    known = list(inspect.signature(function).parameters)[2:]
    unknown = [name for name in named if name not in known]
    if unknown:
        raise UsageError(
            f"params.yaml: model.{unknown[0]} is no parameter of model() in {task.file}",
            allowed=", ".join(known) or "none",
        )


def _signature(function: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(…)"


def _form(member: str) -> str:
    named = ", **model parameters" if member == "model" else ""
    return f"{member}({', '.join(MEMBERS[member])}{named})"


def brief(error: BaseException) -> str:
    """An exception as part of one sentence."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:300]}" if said else type(error).__name__


def build(task: Task, shape: Any, outputs: int | dict[str, int], parameters: Mapping[str, Any]) -> nn.Module:
    """A fresh model, drawn from the global torch generator as it stands."""
    module = task.call("model", shape, outputs, **parameters)
    if not isinstance(module, nn.Module):
        raise task.refuse(f"model() returns {type(module).__name__}", "a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise task.refuse("model() returns a module without parameters to train")
    return module


def shaped(task: Task, module: nn.Module, inputs: Any) -> nn.Module:
    """`module`, whose lazy parameters have been given their shapes and values by a first batch, in evaluation mode."""
    if not any(is_lazy(one) for one in (*module.parameters(), *module.buffers())):
        return module
    modes = [(one, one.training) for one in module.modules()]
    few = example_batch.mapped(_default_precision, inputs)
    try:
        with torch.no_grad():
            module.eval()(few)
    except Exception as error:
        shape = example_batch.shape(few)
        raise task.refuse(f"the model fails on inputs of shape {shape} with {brief(error)}") from error
    for one, training in modes:
        one.training = training
    lazy = [name for name, one in (*module.named_parameters(), *module.named_buffers()) if is_lazy(one)]
    if lazy:
        raise task.refuse(f"the model's forward pass leaves {lazy[0]!r} without a shape", "layers that are used")
    return module


def _default_precision(tensor: Tensor) -> Tensor:
    return tensor.cpu().to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor.cpu()


def storable(tensor: Tensor) -> bool:
    """Whether a file of weights holds tensors like this one."""
    if tensor.layout != torch.strided:
        return False
    try:
        safetensors.torch.save({"": torch.empty(0, dtype=tensor.dtype)})
    except (KeyError, TypeError, ValueError):
        return False
    return True


def check_storable(task: Task, module: nn.Module) -> None:
    """Raise UsageError for what could not be written down when all training is done."""
    for name, one in (*module.named_parameters(), *module.named_buffers()):
        if not storable(one):
            kind = str(one.dtype if one.layout == torch.strided else one.layout).removeprefix("torch.")
            raise task.refuse(f"{name!r} of the model is {kind}, which no file of weights holds", _STORED)


def predictions(task: Task, outputs: Tensor, targets: Tensor, classes: int | None) -> Tensor:
    """(N, …) predictions from model outputs of N examples, or what `score` keeps of them.

    Classes get probabilities (N, K), in sequences and masks (N, …, K), or class numbers in the targets' shape.
    """
    if task.score is not None:
        return _scores(task, task.call("score", outputs, targets), len(targets))
    if task.predict is not None:
        made = task.call("predict", outputs)
    elif classes is not None:
        made = _chances(outputs, tuple(targets.shape), classes)
    elif task.parts is not None:
        made = outputs
    else:
        made = outputs.reshape(targets.shape) if outputs.numel() == targets.numel() else outputs
    if not isinstance(made, Tensor) or made.ndim == 0 or len(made) != len(targets):
        found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise task.refuse(f"predict() returns {found} for {len(targets)} examples", "a Tensor with a row for each")
    shape = tuple(targets.shape)
    if classes is not None and tuple(made.shape) not in allowed_shapes(shape, classes):
        expected = f"({', '.join(map(str, (*shape, classes)))}), a probability for each class"
        raise task.refuse(f"predictions have shape {tuple(made.shape)}", expected)
    return made


def allowed_shapes(targets: tuple[int, ...], classes: int) -> list[tuple[int, ...]]:
    """Shapes that predictions of classes may have: probabilities, or class numbers of sequences and masks."""
    return [(*targets, classes), *([targets] if len(targets) > 1 else [])]


def _chances(outputs: Tensor, targets: tuple[int, ...], classes: int) -> Tensor:
    """Probabilities (N, …, K) from outputs with classes in the last place, or in the second as convolutions have it."""
    second = (targets[0], classes, *targets[1:])
    if len(targets) > 1 and tuple(outputs.shape) == second != (*targets, classes):
        return outputs.softmax(1).movedim(1, -1)
    return outputs.softmax(-1)


def _scores(task: Task, made: Any, count: int) -> Tensor:
    if not isinstance(made, Tensor) or made.ndim == 0 or len(made) != count:
        found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise task.refuse(f"score() returns {found} for {count} examples", "a Tensor with a row for each")
    if made.is_complex():
        raise task.refuse("score() returns complex numbers", "real ones")
    return made


def probe(task: Task, module: nn.Module, inputs: Any, targets: Tensor, classes: int | None) -> None:
    """Run a first batch through model, loss and predict; UsageError naming what has the wrong shape."""
    try:
        outputs = module(inputs)
    except Exception as error:
        shape = example_batch.shape(inputs)
        raise task.refuse(f"the model fails on inputs of shape {shape} with {brief(error)}") from error
    if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != len(targets):
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise task.refuse(f"the model returns {found} for {len(targets)} examples", "a Tensor with a row for each")
    if outputs.is_complex():
        raise task.refuse(
            "the model returns complex numbers", "real ones, as .abs() or torch.view_as_real() makes them"
        )
    _check_loss(task, task.call("loss", outputs, targets))
    predictions(task, outputs.detach().float(), targets, classes)


def _check_loss(task: Task, value: Any) -> None:
    """Raise UsageError unless this is a scalar, or terms by name, which depends on the model."""
    terms = value if isinstance(value, dict) and value else {"": value}
    for name, one in terms.items():
        if not isinstance(one, Tensor) or one.ndim != 0 or not one.is_floating_point():
            found = tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__
            term = f" as {name!r}" if name else ""
            raise task.refuse(f"loss() returns {found}{term}", "a scalar Tensor, the mean over the batch")
    if not any(one.requires_grad for one in terms.values()):
        raise task.refuse("loss() returns a value that does not depend on the model's parameters")
