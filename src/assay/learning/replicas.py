"""Fresh models of replicates: each drawn from the replicate's own stream."""

from __future__ import annotations

from torch import nn

from assay.learning import contract, device, dropout, seeding
from assay.learning.dropout import Masks
from assay.learning.plan import Plan


def module(plan: Plan, number: int, masks: Masks) -> nn.Module:
    """The untrained model of replicate `number`, on the device, its dropout drawing from `masks`.

    Leaves the global generators as the replicate's training starts with them.
    """
    streams = plan.streams(number)
    seeding.seed_globals(streams.display, streams.integer("init"))
    made = contract.build(plan.task, plan.train.shape, plan.outputs, plan.params.model)
    made = contract.shaped(plan.task, dropout.install(made, masks), plan.train.inputs)
    made = device.cast(made, plan.device, device.DTYPES[plan.params.train.precision])
    seeding.seed_globals(streams.display)
    return made


def masks(plan: Plan, numbers: list[int]) -> Masks:
    return Masks([plan.streams(number).generator("dropout", plan.device) for number in numbers])


def check(plan: Plan) -> None:
    """Hold the task's members against the contract, on a model and a batch that are thrown away."""
    with seeding.untouched():
        made = module(plan, 0, masks(plan, [0]))
        count = min(plan.params.train.batch_size, len(plan.train), 8)
        part = slice(0, count)
        with device.autocast(plan.device, plan.params.train.precision):
            inputs, targets = plan.train.inputs[part].to(plan.device), plan.train.targets[part].to(plan.device)
            contract.probe(plan.task, made, inputs, targets, plan.classes)
        contract.check_storable(plan.task, made)
