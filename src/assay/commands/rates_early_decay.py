"""What `assay rates` says of HEAD's schedule, from the full curves of replicates that are kept. Nothing trains.

Covers: curves of HEAD and of experiments with its schedule, in DVC's cache; step sizes by epoch. Not covered: what
makes a decay too early (`stats.early_rate_decay`).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from contextlib import suppress

from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.core.params_yaml import Params, Train
from assay.core.paths import IN_PROJECT, LOCK, ProjectPaths
from assay.history import cached_predictions
from assay.history.experiments import read
from assay.runtime import dvc_cache_dir, dvc_yaml, git
from assay.stats import early_rate_decay
from assay.stats.early_rate_decay import EarlyDecay

CURVES = IN_PROJECT.curves("candidate").as_posix()
#: experiments that are looked at
MOST = 50


def line(layout: ProjectPaths, asked: Params) -> str:
    """One sentence about the decay; "" where the step size stays, or falls again and again."""
    train = asked.train
    shares = step_sizes(asked)
    if not shares or min(shares[shares.index(max(shares)) :]) > 0.1:
        return ""
    curves = next(_curves(layout, asked), None)
    if curves is None:
        return (
            f"decay of {train.schedule}: not told, no curves of a whole training under it are kept; next: dvc exp run"
        )
    found = early_rate_decay.early_decay(curves, shares)
    if found is None:
        return f"decay of {train.schedule}: not shown to be too early, by {len(curves)} whole trainings"
    return _words(train, found, len(curves))


def _words(train: Train, found: EarlyDecay, count: int) -> str:
    later = "a larger train.step_epochs" if train.schedule == "step" else "more train.epochs, or a later decay"
    return (
        f"decay of {train.schedule} comes too early: the loss still fell {found.before:.2g} an epoch at epoch "
        f"{found.begins}, and {max(0.0, found.after):.2g} from epoch {found.small} of {found.epochs} on, by {count} "
        f"whole trainings; try {later}"
    )


def step_sizes(asked: Params) -> list[float]:
    """Step size in the middle of each epoch over lr; empty for restarts, which fall again and again."""
    train = asked.train
    if train.schedule == "restarts":
        return []
    return [_share(train, train.min_lr / asked.lr, epoch + 0.5) for epoch in range(train.epochs)]


def _share(train: Train, low: float, epoch: float) -> float:
    if epoch < train.warmup_epochs:
        return epoch / train.warmup_epochs
    place = (epoch - train.warmup_epochs) / (train.epochs - train.warmup_epochs)
    match train.schedule:
        case "linear":
            return low + (1 - low) * (1 - place)
        case "cosine":
            return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * place))
        case "onecycle":
            if place <= train.pct_start:
                return 0.5 * (1 - math.cos(math.pi * place / train.pct_start))
            return 0.5 * (1 + math.cos(math.pi * (place - train.pct_start) / (1 - train.pct_start)))
        case "step":
            return float(train.gamma ** ((epoch - train.warmup_epochs) // (train.step_epochs or train.epochs)))
        case _:
            return 1.0


def _curves(layout: ProjectPaths, asked: Params) -> Iterator[list[list[float]]]:
    """Curves of two or more replicates, HEAD's first."""
    root = layout.root
    revisions = ["HEAD", *(one.commit for one in read(root, stamps=False).experiments[:MOST])]
    with suppress(AssayError):
        cache = dvc_cache_dir.folder(dvc_yaml.main(root))
        for revision in revisions:
            with suppress(AssayError, ValueError, KeyError):
                if params_yaml.resolved(dvc_yaml.parameters_at(root, revision) or b"").train != asked.train:
                    continue
                text = cached_predictions.text(cache, git.read(root, revision, LOCK) or b"", CURVES)
                found = _parsed(text, asked.train.epochs)
                if len(found) > 1:
                    yield found


def _parsed(text: str, epochs: int) -> list[list[float]]:
    """Validation losses of each replicate that ran all epochs."""
    found: dict[str, list[float]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        if row["validation_loss"]:
            found.setdefault(row["replicate"], []).append(float(row["validation_loss"]))
    return [losses for losses in found.values() if len(losses) == epochs]
