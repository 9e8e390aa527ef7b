"""Twenty small steps on one fixed batch, which lower the loss of whatever can learn.

The steps are those of the product's own loop: the task's loss, its optimizer or the one of params.yaml. Dropout and
augmentation are off, and what else draws by chance draws the same in each step. Where a step size overshoots, smaller
ones are tried: what is wrong at every size is no matter of tuning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from assay.core.errors import UsageError
from assay.training import example_batch, random_streams
from assay.training.dropout import StreamDropout
from assay.training.sequential_engine import Sequential
from assay.training.training_spec import TrainingPlan
from assay.training.vmap import equivalence_check

STEPS = 20
#: examples of the batch, at most: few are learned as well, and in less time
MOST = 16
#: parts of the step size of params.yaml that are tried, in this order
SCALES = (0.3, 0.03, 0.003, 0.0003)
#: seed of everything that is drawn in a step
_SEED = 7


def learning(plan: TrainingPlan) -> Iterator[UsageError]:
    """A loss that no step size lowers, or that is not finite before the first step."""
    tried = []
    for scale in SCALES:
        first, last = _losses(plan, scale)
        if not math.isfinite(first):
            yield plan.task.refuse(f"loss() is {first} on a first batch, before any step", "a finite number")
            return
        if last < first or first == 0:
            return
        tried.append(f"{plan.params.lr * scale:.2g}: {first:.6g} to {last:.6g}")
    yield UsageError(
        f"{plan.task.file}: {STEPS} steps on one batch of {_size(plan)} do not lower its loss "
        f"(lr {'; lr '.join(tried)})",
        allowed="a lower loss at one of these",
        hint="look in model() and loss() for what stops the gradient, such as detach(), argmax() or another sign",
    )


def _size(plan: TrainingPlan) -> int:
    return min(plan.params.train.batch_size, len(plan.train), MOST)


def _losses(plan: TrainingPlan, scale: float) -> tuple[float, float]:
    """The loss of the batch before the first step and after the last one."""
    with random_streams.untouched():
        engine = equivalence_check.alone(plan, 0)
        without_dropout(engine.module)
        rows = slice(0, _size(plan))
        inputs = example_batch.as_lane(example_batch.moved(plan.train.inputs[rows], plan.device))
        targets = plan.train.targets[rows].to(plan.device)[None]
        first = _loss(engine, inputs, targets)
        for step in range(1, STEPS + 1):
            engine.clip()
            engine.apply(plan.params.lr * scale, step)
            last = _loss(engine, inputs, targets)
    return first, last


def _loss(engine: Sequential, inputs: Any, targets: Any) -> float:
    """The loss, its gradient left in the engine."""
    random_streams.seed_globals(_SEED)
    return float(engine.differentiate(inputs, targets))


def without_dropout(module: nn.Module) -> None:
    """Let no module in `module` drop anything in training mode."""
    for one in module.modules():
        if isinstance(one, _DropoutNd | StreamDropout):
            one.p = 0.0
        elif isinstance(one, nn.MultiheadAttention | nn.RNNBase):
            one.dropout = 0.0
