"""Operations of torch that a model and a loss call, in order, with the module that calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: operations of autograd that only look at the same values in another shape or type
VIEWS = ("View", "UnsafeView", "Squeeze", "Unsqueeze", "Transpose", "T", "Permute", "ReshapeAlias", "Clone", "ToCopy")


@dataclass(frozen=True)
class Operation:
    """One call: the function's name, its arguments, what it returned, the innermost module around it."""

    name: str
    args: tuple[Any, ...]
    named: dict[str, Any]
    output: Any
    module: str
    training: bool

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        return self.args[place] if len(self.args) > place else self.named.get(name, default)


@dataclass
class Operations(TorchFunctionMode):
    """The mode that records; `calls` keeps every tensor alive, so that no two have the same identity."""

    calls: list[Operation] = field(default_factory=list)
    modules: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        output = func(*args, **named)
        name = getattr(func, "__name__", "")
        if name != "__get__":
            module, training = self.modules[-1] if self.modules else ("", True)
            self.calls.append(Operation(name, args, named, output, module, training))
        return output


@contextmanager
def recorded(model: nn.Module) -> Iterator[Operations]:
    """Record all operations in the block; hooks on `model` say which module calls, and are removed afterwards."""
    seen = Operations()
    names = {id(module): placed(name, module) for name, module in model.named_modules()}

    def enter(module: nn.Module, _inputs: Any) -> None:
        seen.modules.append((names.get(id(module), "model"), module.training))

    def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        if seen.modules:
            seen.modules.pop()

    handles = []
    for module in model.modules():
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with seen:
            yield seen
    finally:
        for handle in handles:
            handle.remove()


def placed(name: str, module: nn.Module) -> str:
    """A module as reports name it: `name (Class)`, `model` for the outermost."""
    return f"{name} ({type(module).__name__})" if name else "model"


def producer(tensor: Any) -> str:
    """Autograd's name of the operation that made `tensor`'s values, past views: `Softmax`, `Tanh`; '' where unknown."""
    node = tensor.grad_fn if isinstance(tensor, Tensor) else None
    while node is not None:
        name = node.name().split("Backward")[0]
        if name not in VIEWS:
            return str(name)
        following = node.next_functions
        node = following[0][0] if following else None
    return ""
