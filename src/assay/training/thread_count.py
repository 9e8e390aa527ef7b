"""How much arithmetic a step is, and how many threads are worth it.

The number of threads can change the last bits of a result, so it follows from the model alone, never
from how busy the machine is or how many replicates there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from assay.runtime import parent_watch
from assay.training import device, example_batch, model_init, random_streams
from assay.training.training_spec import TrainingPlan

#: multiply-adds of one replicate's forward pass below which a second thread gains little (see docs/design/training.md)
SMALL = 30_000_000


def multiply_adds(plan: TrainingPlan) -> int:
    """Multiply-adds of layers with a weight, in the forward pass of one replicate's batch."""
    found = 0

    def count(module: nn.Module, arguments: Any, output: Any) -> None:
        nonlocal found
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim > 1 and isinstance(output, Tensor):
            found += output.numel() * weight[0].numel()

    rows = min(4, len(plan.train), plan.params.train.batch_size)
    with random_streams.untouched(), torch.no_grad():
        module = model_init.module(plan, 0, model_init.masks(plan, [0])).eval()
        for one in module.modules():
            if not isinstance(one, torch.jit.ScriptModule):  # takes no hooks: what it holds counts as small
                one.register_forward_hook(count)
        with device.autocast(plan.device, plan.params.train.precision):
            module(example_batch.moved(plan.train.inputs[:rows], plan.device))
    return found * plan.params.train.batch_size // rows


@contextmanager
def threads(plan: TrainingPlan) -> Iterator[None]:
    """Run the block with as many threads as pay for this model: one, or torch's own choice within our limits."""
    small = plan.device.type == "cpu" and multiply_adds(plan) < SMALL
    with device.threads(1 if small else min(torch.get_num_threads(), parent_watch.processors())):
        yield
