"""Proof before trust: a few fused steps against the sequential twin.

Much of what goes wrong in lanes goes wrong silently: reassigned buffers, state that lives outside of
parameters and buffers, the global generators. So each step of two lanes is repeated by the plain engine
from the same parameters, and loss, gradients, buffers and predictions must agree to rounding.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from assay.core.errors import AssayError
from assay.training import example_batch, memory_estimate, model_init, task_interface
from assay.training.random_streams import Globals
from assay.training.sequential_engine import Sequential
from assay.training.training_spec import TrainingPlan
from assay.training.vmap.vmap_engine import Fused, NotFusable

STEPS = 3
#: largest difference relative to the norm of what is compared; rounding stays 100 times below
TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "tf32": 1e-2, "bfloat16": 5e-2}


def fused(plan: TrainingPlan, numbers: Sequence[int]) -> Fused:
    """An engine of fresh lanes; NotFusable when the task does not allow it."""
    masks = model_init.masks(plan, list(numbers))
    modules = [model_init.module(plan, number, masks) for number in numbers]
    return Fused(plan.task, modules, plan.params, masks, plan.updates_per_epoch)


def alone(plan: TrainingPlan, number: int) -> Sequential:
    """An engine of one fresh lane, the global generators seeded for it."""
    masks = model_init.masks(plan, [number])
    module = model_init.module(plan, number, masks)
    return Sequential(plan.task, [module], plan.params, masks, plan.updates_per_epoch)


def prove(plan: TrainingPlan, numbers: Sequence[int]) -> None:
    """Raise NotFusable, naming module and reason, unless two of `numbers` train in lanes as they do alone."""
    pair = list(numbers[:2])
    twins = [alone(plan, number) for number in pair]
    lanes = fused(plan, pair)
    feed = plan.feed(pair)
    tolerance = TOLERANCE[plan.params.train.precision]
    for step, (inputs, targets) in enumerate(islice(feed.epoch(1), STEPS), 1):
        for lane, twin in enumerate(twins):
            twin.theta.copy_(lanes.theta[lane : lane + 1])
        losses = guarded(lanes, partial(lanes.step, inputs, targets, plan.params.lr, step))
        for lane, twin in enumerate(twins):
            part = slice(lane, lane + 1)
            _agree("the loss", losses[part], twin.step(inputs[part], targets[part], plan.params.lr, step), tolerance)
            _agree("the gradient", lanes.grad[part], twin.grad, tolerance)
            for name, kept in twin.buffers().items():
                _agree(f"buffer {name!r}", lanes.buffers()[name][part], kept, tolerance)
    inputs = example_batch.moved(plan.evaluate.inputs[:64], plan.device)
    with torch.no_grad():
        outputs = guarded(lanes, partial(lanes.forward, inputs))
        for lane, twin in enumerate(twins):
            twin.theta.copy_(lanes.theta[lane : lane + 1])
            _agree("the output", outputs[lane : lane + 1], twin.forward(inputs), tolerance)


def guarded(engine: Fused, action: Callable[[], Tensor]) -> Tensor:
    """What `action`, which runs through `engine`, gives. NotFusable where lanes are no way to have it."""
    before = Globals()
    try:
        made = action()
    except (NotFusable, AssayError):
        raise
    except Exception as error:
        if memory_estimate.exhausted(error):
            raise
        raise NotFusable(blamed(engine, error)) from error
    if before != Globals():
        raise NotFusable("the forward pass draws from the global generators, which lanes would share")
    return made


def blamed(engine: Fused, error: BaseException) -> str:
    """`error` as part of one sentence, with the innermost module that was running when it was raised."""
    return f"{_where(engine.module, error)}: {task_interface.brief(error)}"


def _where(module: nn.Module, error: BaseException) -> str:
    names = {
        id(one): f"{type(one).__name__} {name!r}" if name else type(one).__name__
        for name, one in module.named_modules()
    }
    found = "the loss"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        found = names.get(id(frame.f_locals.get("self")), found)
    return found


def _agree(what: str, found: Tensor, expected: Tensor, tolerance: float) -> None:
    found, expected = _real(found), _real(expected)
    both = found.isfinite() & expected.isfinite()
    scale = float(expected[both].norm())
    difference = float((found - expected)[both].norm())
    if (
        found.shape != expected.shape
        or not torch.equal(found.isfinite(), expected.isfinite())
        or (difference > tolerance * scale + tolerance * 1e-6)
    ):
        raise NotFusable(f"{what} differs from the sequential twin's by {difference:.2g} (norm {scale:.2g})")


def _real(tensor: Tensor) -> Tensor:
    """`tensor` in double precision, real and imaginary parts side by side."""
    return (torch.view_as_real(tensor.detach().resolve_conj()) if tensor.is_complex() else tensor.detach()).double()
