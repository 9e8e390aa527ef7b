"""Replay of one forward pass on a copy of the model, operation by operation: the first that leaves the numbers.

Used after a NaN was noticed, never before. The user's model, its buffers and all random generators stay as they are.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from assay.doctor import tensor_tree, user_frames
from assay.doctor.autograd_graph import bad_rows, operation_name
from assay.doctor.loop_state import RootCall
from assay.doctor.operation_trace import placed
from assay.doctor.state_restoration import generators_put_back, seed_all

#: operations that look at numbers, or fill masks with infinities
NO_FAULT = ("isnan", "isfinite", "isinf", "masked_fill", "masked_fill_", "full", "full_like", "where", "triu", "fill_")


@dataclass(frozen=True)
class ReplayFault:
    """The first operation whose result (`forward`) or gradient (`backward`) is not finite, though what it got is."""

    direction: str
    operation: str
    module: str
    line: str
    rows: list[int]


class FaultFinder(TorchFunctionMode):
    """Watches each operation: the first with finite inputs and a NaN, and the operation of each autograd node."""

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self.root = root
        self.modules: list[str] = []
        self.fault: ReplayFault | None = None
        self.owners: dict[Any, tuple[str, str, str]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return output
        for one in tensor_tree.leaves(output):
            if one.grad_fn is not None:
                self._own(one.grad_fn, name)
            if self.fault is None and one.is_floating_point() and name not in NO_FAULT:
                self._look(name, one, [args, kwargs or {}])
        return output

    def left(self, *_: Any) -> None:
        if self.modules:
            self.modules.pop()

    def _own(self, node: Any, name: str) -> None:
        owner = (name, self.modules[-1] if self.modules else "model", user_frames.place())
        queue = [node]
        while queue:
            node = queue.pop()
            if node is not None and node not in self.owners:
                self.owners[node] = owner
                queue.extend(following for following, _ in node.next_functions)

    def _look(self, name: str, output: Tensor, given: Any) -> None:
        bad = ~output.detach().isfinite()
        if not bool(bad.any()) or not _all_finite(given):
            return
        module = self.modules[-1] if self.modules else "model"
        self.fault = ReplayFault("forward", name, module, user_frames.place(), bad_rows(bad))


def replay(root: nn.Module, call: RootCall) -> ReplayFault | None:
    """The first fault in the forward pass, else in the gradient of the outputs' sum; None where there is none.

    Raises what copying the model or calling it raises.
    """
    with generators_put_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _without_hooks(root)
        seed_all()
        finder = FaultFinder(model)
        names = {id(module): placed(name, module) for name, module in model.named_modules()}
        for module in model.modules():
            module.register_forward_pre_hook(lambda one, _: finder.modules.append(names.get(id(one), "model")))
            module.register_forward_hook(finder.left)
        with torch.enable_grad(), finder:
            output = model(*call.inputs, **call.named)
        if finder.fault is not None:
            return finder.fault
        return _in_gradient(finder, list(tensor_tree.leaves(output)))


def _without_hooks(root: nn.Module) -> nn.Module:
    """A copy without hooks: those of the watch itself, and of others, which may note things."""
    model = copy.deepcopy(root)
    for module in model.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return model


def _in_gradient(finder: FaultFinder, outputs: list[Tensor]) -> ReplayFault | None:
    found: list[Any] = []

    def watched(node: Any) -> None:
        def hook(gradients: Any, given: Any) -> None:
            if not found and _all_finite(given) and not _all_finite(gradients):
                found.append(node)

        node.register_hook(hook)

    for node in finder.owners:
        if not hasattr(node, "variable"):
            watched(node)
    needed = [one for one in outputs if one.requires_grad and one.is_floating_point()]
    if not needed:
        return None
    with suppress(RuntimeError):  # of a graph that cannot be gone through; what was found until then counts
        total = torch.stack([one.float().sum() for one in needed]).sum()
        torch.autograd.grad(total, _leaves(finder), allow_unused=True)
    if not found:
        return None
    name, module, line = finder.owners[found[0]]
    return ReplayFault("backward", f"{name} ({operation_name(found[0])})", module, line, [])


def _leaves(finder: FaultFinder) -> list[Tensor]:
    return [one for one in finder.root.parameters() if one.requires_grad]


def _all_finite(tree: Any) -> bool:
    return all(map(tensor_tree.finite, tensor_tree.leaves(tree)))


def guilty_example(root: nn.Module, call: RootCall, rows: int) -> int | None:
    """By bisection, the example that makes the output of the model non-finite by itself; None where none does.

    `rows` is the number of examples, which is the first dimension of every tensor given.
    """
    with generators_put_back(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = _without_hooks(root)

        def is_bad(chosen: range) -> bool:
            index = torch.tensor([*chosen] * (2 if len(chosen) == 1 else 1))  # normalising layers refuse one value
            inputs, named = tensor_tree.mapped(lambda one: _part(one, index, rows), (call.inputs, call.named))
            return not _all_finite(model(*inputs, **named))

        chosen = range(rows)
        while len(chosen) > 1:
            half = len(chosen) // 2
            chosen = chosen[:half] if is_bad(chosen[:half]) else chosen[half:]
        return chosen[0] if is_bad(chosen) else None


def _part(tensor: Tensor, index: Tensor, rows: int) -> Tensor:
    return tensor[index.to(tensor.device)] if tensor.ndim and tensor.shape[0] == rows else tensor
