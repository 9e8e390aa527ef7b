"""The examination of a training program before it trains: all contracts, on copies, and their report."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from assay.doctor import (
    adam_checks,
    advice_checks,
    autograd_function_checks,
    axis_checks,
    batch_place_checks,
    capacity_checks,
    data_checks,
    data_part_checks,
    dataset_reading_checks,
    example_draws,
    initial_loss_checks,
    layer_advice,
    layer_checks,
    layer_use_checks,
    layout_checks,
    linear_probe_checks,
    loader_checks,
    loss_alone_checks,
    loss_checks,
    loss_optimum_checks,
    loss_term_checks,
    metric_checks,
    mixed_table_checks,
    mixing_checks,
    optimizer_checks,
    pace_checks,
    part_target_checks,
    perfect_output_checks,
    random_target_checks,
    reduction_checks,
    rehearsal_checks,
    repeat_checks,
    scale_checks,
    schedule_checks,
    sequence_checks,
    start_checks,
    target_checks,
    unit_checks,
)
from assay.doctor.check_results import Contract, Problem, looked_at, rank, unseen
from assay.doctor.findings import NOT_RUN, Finding, Report
from assay.doctor.state_restoration import ModuleState, generators_put_back, seed_all
from assay.doctor.subject import Subject

CONTRACTS: tuple[Contract, ...] = (
    *start_checks.CONTRACTS,
    *loss_checks.CONTRACTS,
    *loss_alone_checks.CONTRACTS,
    *target_checks.CONTRACTS,
    *metric_checks.CONTRACTS,
    *optimizer_checks.CONTRACTS,
    *layer_checks.CONTRACTS,
    *mixing_checks.CONTRACTS,
    *batch_place_checks.CONTRACTS,
    *loss_optimum_checks.CONTRACTS,
    *data_checks.CONTRACTS,
    *data_part_checks.CONTRACTS,
    *repeat_checks.CONTRACTS,
    *axis_checks.CONTRACTS,
    *loader_checks.CONTRACTS,
    *adam_checks.CONTRACTS,
    *layer_use_checks.CONTRACTS,
    *layout_checks.CONTRACTS,
    *perfect_output_checks.CONTRACTS,
    *reduction_checks.CONTRACTS,
    *part_target_checks.CONTRACTS,
    *dataset_reading_checks.CONTRACTS,
    *autograd_function_checks.CONTRACTS,
)
#: all that `examine` looks at; those after the contracts need rehearsal, statistics or taste
CHECKS: tuple[Contract, ...] = (
    *CONTRACTS,
    *schedule_checks.CHECKS,
    *part_target_checks.CHECKS,
    *data_part_checks.CHECKS,
    *linear_probe_checks.CHECKS,
    *mixed_table_checks.CHECKS,
    *random_target_checks.CHECKS,
    *layout_checks.CHECKS,
    *repeat_checks.CHECKS,
    *initial_loss_checks.CHECKS,
    *scale_checks.CHECKS,
    *pace_checks.CHECKS,
    *loss_optimum_checks.CHECKS,
    *rehearsal_checks.CHECKS,
    *unit_checks.CHECKS,
    *capacity_checks.CHECKS,
    *loss_term_checks.CHECKS,
    *sequence_checks.CHECKS,
    *dataset_reading_checks.CHECKS,
    *metric_checks.CHECKS,
    *advice_checks.CHECKS,
    *layer_advice.CHECKS,
)


def examine(
    model: nn.Module,
    loss: Callable[[Any, Any], Any],
    optimizer: Any,
    train_loader: Any,
    val_loader: Any = None,
    *,
    scheduler: Any = None,
    metric: Callable[[Any, Any], Any] | None = None,
    forward: Callable[[nn.Module, Any], tuple[Any, Any]] | None = None,
    planned_steps: int | None = None,
    task: str | None = None,
    batch_dim: int = 0,
    pad_id: int | None = None,
    scheduler_unit: str | None = None,
    accumulate: int = 1,
    clip: float | None = None,
    budget: int = 120,
) -> Report:
    """Report on the parts of a training program, before the first step.

    `loss(output, target)` and `metric(output, target)` return a number, `forward(model, batch)` returns
    (output, target); without it, a batch is (inputs, …, targets) or a dict with `labels`, `label`, `targets`,
    `target` or `y`. `optimizer` and `scheduler` are one or a list. `batch_dim` is the dimension of examples,
    `pad_id` the integer of padding, `task` a hint in free words, `budget` the largest number of rehearsal steps.

    Weights, buffers, modes, gradients, hooks, loaders and random generators are left bit for bit as they are. A
    check that raises is `not run`: no exception leaves this function but for arguments of the wrong kind (TypeError).
    """
    return looked(
        CHECKS,
        model,
        loss,
        optimizer,
        train_loader,
        val_loader,
        scheduler=scheduler,
        metric=metric,
        forward=forward,
        planned_steps=planned_steps,
        task=task,
        batch_dim=batch_dim,
        pad_id=pad_id,
        scheduler_unit=scheduler_unit,
        accumulate=accumulate,
        clip=clip,
        budget=budget,
    )


def looked(
    contracts: Sequence[Contract],
    model: nn.Module,
    loss: Callable[[Any, Any], Any],
    optimizer: Any,
    train_loader: Any,
    val_loader: Any = None,
    *,
    scheduler: Any = None,
    **given: Any,
) -> Report:
    """`examine` by some of the checks; `given` are its other arguments, those of `Subject` by their names."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {type(model).__name__}; allowed: a torch.nn.Module")
    if not callable(loss):
        raise TypeError(f"loss is {type(loss).__name__}; allowed: a function loss(output, target)")
    touched = [one for one in (model, loss, given.get("metric")) if isinstance(one, nn.Module)]
    with generators_put_back(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's code, which says them again when it runs
        before = [ModuleState(one) for one in touched]
        try:
            seed_all()
            subject = Subject(
                original=model,
                loss=loss,
                optimizers=_listed(optimizer),
                schedulers=_listed(scheduler),
                train_loader=train_loader,
                val_loader=val_loader,
                **given,
                train=example_draws.draw(train_loader),
                validation=example_draws.draw(val_loader, batches=1),
            )
            return Report(ordered([one for contract in contracts for one in _findings(contract, subject)]))
        except Exception as error:  # nothing could be looked at, which is a result, too
            return Report([unseen(one, NOT_RUN, _said(error)) for one in contracts])
        finally:
            for state in before:
                state.put_back()


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


def ordered(found: Sequence[Finding]) -> list[Finding]:
    """Findings as a report has them."""
    specificity = {one.name: one.specificity for one in CHECKS}
    return sorted(found, key=lambda one: rank(one, specificity[one.check]))


def _findings(contract: Contract, subject: Subject) -> list[Finding]:
    def look() -> list[Problem]:
        subject.reset()
        return contract.look(subject)

    try:
        return looked_at(contract, look, _said)
    finally:
        subject.reset()


def _said(error: BaseException) -> str:
    """An exception as one sentence, with the innermost line that is not torch's or the doctor's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = Path(__file__).parent
    users = [one for one in frames if own not in Path(one.filename).parents and "/torch/" not in one.filename]
    where = f" at {Path(users[-1].filename).name}:{users[-1].lineno}" if users else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{where}"
