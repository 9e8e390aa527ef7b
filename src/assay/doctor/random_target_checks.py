"""Targets that are drawn while training: what the model is given has to tell something of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from assay.doctor import tensor_tree
from assay.doctor.check_results import Contract, Problem
from assay.doctor.linear_probe_checks import COLUMNS, hits, standard_columns
from assay.doctor.subject import NotApplicableError, Subject

#: draws for each batch, fewest rows, and standard deviations above chance up to which inputs tell nothing of targets
DRAWS, FEWEST, NONE = 6, 200, 3.0
#: least correlation of targets and inputs within which nothing is told, whatever the number of rows
WEAK = 0.15


def drawn_apart(subject: Subject) -> list[Problem]:
    """Targets that differ from draw to draw, and of which the tensors that the model is given tell nothing."""
    if subject.forward is None:
        raise NotApplicableError("targets are those of the batch")
    first, again = (subject.run(subject.batch, seed)[1] for seed in (0, 1))
    if not isinstance(first, Tensor) or not first.is_floating_point() or first.ndim < 1:
        raise NotApplicableError("the target is not one tensor of numbers")
    if first.shape != again.shape or torch.equal(first, again):
        raise NotApplicableError("targets are not drawn anew")
    # a seed of its own for each: equal draws in both halves would tell of each other
    seen = [
        _drawn(subject, batch, 1 + DRAWS * number + draw)
        for number, batch in enumerate(subject.train.batches)
        for draw in range(DRAWS)
    ]
    rows = [one for one in seen if one is not None]
    if not rows or sum(len(one) for one, _ in rows) < FEWEST:
        raise NotApplicableError(f"the model is not given a row for each target, or there are fewer than {FEWEST}")
    table = standard_columns(np.concatenate([one for one, _ in rows]))
    aims = np.concatenate([two for _, two in rows])
    half = len(table) // 2
    told = [hits(table[:half], aim[:half], table[half:], aim[half:]) for aim in aims.T[:4]]
    # columns may tell in products as well, as signs and sizes do: squares of both
    told += [hits(table[:half] ** 2, aim[:half] ** 2, table[half:] ** 2, aim[half:] ** 2) for aim in aims.T[:4]]
    if max(told) > max(NONE, WEAK * half**0.5):
        return []
    return [
        Problem(
            places=["forward", "loss"],
            reason="targets are drawn by chance in the forward function, and nothing that the model is given tells of "
            "them: they were drawn twice, or for another batch",
            measured=f"{max(told):.1f} standard deviations above chance in {len(table)} rows",
            threshold=f"{max(NONE, WEAK * half**0.5):.1f}",
            next_step="draw once: noise = torch.randn_like(x); give the model x + noise, and the loss the same noise",
        )
    ]


def _drawn(subject: Subject, batch: Any, seed: int) -> tuple[Any, Any] | None:
    """(rows, numbers) of what the model is given, and of the targets of one draw; None where rows do not fit."""
    given: list[Tensor] = []

    def look(_module: nn.Module, args: Any, named: Any) -> None:
        if not given:
            given.extend(tensor_tree.leaves([args, named]))

    handle = subject.model.register_forward_pre_hook(look, with_kwargs=True)
    subject.model.eval()
    try:
        with torch.no_grad():
            target = subject.run(batch, seed)[1]
    finally:
        handle.remove()
    rows = [one for one in given if one.ndim and len(one) == len(target) and one.is_floating_point()]
    if not rows or len(target) < 4:
        return None
    table = np.concatenate([one.detach().cpu().double().flatten(1).numpy() for one in rows if one.ndim > 1], 1)
    aims = target.detach().cpu().double().reshape(len(target), -1).numpy()
    return table[:, : 4 * COLUMNS], aims


CHECKS = (Contract("targets-drawn-apart", "data", 83, drawn_apart, "warning", "probe"),)
