"""The autograd graph of a loss, read before its backward pass: where the first NaN or infinity stands, and targets.

Nothing is computed anew: autograd keeps what operations need for their gradients, and that tells most of the story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from assay.doctor import tensor_tree

#: most nodes of a graph that are read
MOST = 20_000
#: operations whose infinities may be masks
MASKS = ("Softmax", "LogSoftmax", "MaskedFill", "Where", "Logsumexp", "ScaledDotProduct", "Max", "Min")
#: saved tensors that an operation made itself
RESULTS = ("_saved_result", "_saved_output", "_saved_log_probs")


@dataclass(frozen=True)
class GraphFault:
    """The first non-finite value in the order of the forward pass. `rows` are its places along the first dimension."""

    kind: str  # operation, input, weight
    operation: str
    rows: list[int]
    shape: tuple[int, ...]
    #: the last parameter used before it
    after: Tensor | None


def operation_name(node: Any) -> str:
    """`log` for LogBackward0."""
    return str(node.name()).split("::")[-1].split("Backward")[0].lower()


def forward_order(loss: Tensor) -> list[Any]:
    """Nodes of the graph, each after those that it is computed from."""
    order: list[Any] = []
    seen: set[Any] = set()
    stack: list[tuple[Any, bool]] = [(loss.grad_fn, False)]
    while stack and len(order) < MOST:
        node, done = stack.pop()
        if node is None or (node in seen and not done):
            continue
        if done:
            order.append(node)
            continue
        seen.add(node)
        stack.append((node, True))
        stack.extend((following, False) for following, _ in reversed(node.next_functions))
    return order


_names: dict[type, tuple[str, ...]] = {}


def _saved_names(kind: type) -> tuple[str, ...]:
    if kind not in _names:
        _names[kind] = tuple(name for name in dir(kind) if name.startswith("_saved_"))
    return _names[kind]


def saved(node: Any) -> Iterator[tuple[str, Tensor]]:
    """Tensors that autograd keeps for one node; none where they are freed."""
    for name in _saved_names(type(node)):
        try:
            value = getattr(node, name)
        except RuntimeError:
            return
        if isinstance(value, Tensor):
            yield name, value


def first_nonfinite(loss: Tensor) -> GraphFault | None:
    """The first NaN, infinity or division by zero that the graph shows; None where it shows none."""
    order = forward_order(loss)
    for node in order:
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor) and not tensor_tree.finite(variable):
            return GraphFault("weight", "", [], tuple(variable.shape), variable)
    after: Tensor | None = None
    for node in order:
        variable = getattr(node, "variable", None)
        after = variable if isinstance(variable, Tensor) else after
        fault = _of_node(node, after)
        if fault is not None:
            return fault
    return None


def _of_node(node: Any, after: Tensor | None) -> GraphFault | None:
    masks = any(word in node.name() for word in MASKS)
    for name, value in saved(node):
        if not value.is_floating_point():
            continue
        bad = value.isnan() if masks else ~value.isfinite()
        if not bool(bad.any()):
            continue
        if name in RESULTS:
            return _fault("operation", operation_name(node), bad, after)
        if value.grad_fn is not None:
            return _fault("operation", operation_name(value.grad_fn), bad, after)
        if not value.requires_grad:
            return _fault("input", operation_name(node), bad, after)
    outside = _outside(node)
    return None if outside is None else _fault("operation", operation_name(node), outside, after)


def _outside(node: Any) -> Tensor | None:
    """Where an operation leaves its domain: the logarithm of 0, division by 0."""
    held = dict(saved(node))
    tests: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
        "LogBackward0": ("_saved_self", lambda one: one <= 0),
        "Log2Backward0": ("_saved_self", lambda one: one <= 0),
        "Log10Backward0": ("_saved_self", lambda one: one <= 0),
        "DivBackward0": ("_saved_other", lambda one: one == 0),
    }
    name, test = tests.get(node.name(), ("", torch.isnan))
    if name not in held:
        return None
    bad = test(held[name])
    return bad if bool(bad.any()) else None


def _fault(kind: str, operation: str, bad: Tensor, after: Tensor | None) -> GraphFault:
    return GraphFault(kind, operation, bad_rows(bad), tuple(bad.shape), after)


def bad_rows(bad: Tensor) -> list[int]:
    """Indices along the first dimension that hold a bad value; none where all do."""
    if bad.ndim == 0 or bad.shape[0] < 2:
        return []
    rows = bad.reshape(bad.shape[0], -1).any(1)
    return [] if bool(rows.all()) else [int(one) for one in rows.nonzero().flatten()]


def saved_targets(loss: Tensor, most: int = 64) -> list[tuple[Any, Tensor]]:
    """Nodes of torch's own losses near the top of the graph, with the targets that they were given."""
    found: list[tuple[Any, Tensor]] = []
    queue, seen = [loss.grad_fn], 0
    while queue and seen < most:
        node = queue.pop(0)
        if node is None:
            continue
        seen += 1
        if "_saved_target" in _saved_names(type(node)):
            target = next((one for name, one in saved(node) if name == "_saved_target"), None)
            if target is not None:
                found.append((node, target.detach()))
            continue
        queue.extend(following for following, _ in node.next_functions)
    return found
