"""The examples of a request: those that really train, and those that are predicted.

Covers: reading both parts, leaving out what is also evaluated, the nested sample of a profile. Not covered:
files (`data.storage`), and what a model sees of them (`training.batches`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from assay.core import variation
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.schemas import DrawnSplits, MeasureRequest
from assay.data import storage
from assay.data.storage import Examples
from assay.runtime import example_ids

NEEDED = ("ids", "inputs", "targets")
#: strata of values
TENTHS = 10
#: what is read of a training part of which some is held out
FOR_HOLDOUT = (*NEEDED, "groups", "order")


@dataclass(frozen=True)
class ExampleSubset:
    """What every setting of a request shares, as long as `train.sample` is the same."""

    train: Examples  # those that really train
    evaluated: Examples
    data: str  # content of the training part as it was given
    seen: str  # content of the evaluated part
    left_out: int  # given examples that are also evaluated
    used: str  # content of the examples that really train

    def of(self, _number: int) -> ExampleSubset:
        """Those of one replicate: here all replicates have the same."""
        return self

    def ids(self, _numbers: Sequence[int]) -> NDArray[np.str_]:
        """(N,) ids of what is predicted, or (R, N) where each replicate predicts examples of its own."""
        return self.evaluated.ids

    def splits(self, _numbers: Sequence[int]) -> DrawnSplits | UnsetType:
        """What is recorded of the splits of these replicates, where they have one each."""
        return UNSET


def read(request: MeasureRequest, params: Params) -> ExampleSubset:
    """Read what `request` names, the same for all its replicates. Raises UsageError for what is wrong in it."""
    if request.draws is not UNSET:
        variation.refuse_splits([variation.SPLIT], "this command", "trains all replicates on the same examples")
    evaluated, today = storage.read(Path(request.evaluate), NEEDED)
    given, manifest = storage.read(Path(request.train), NEEDED if params.train.holdout is UNSET else FOR_HOLDOUT)
    train, left_out = without(given, evaluated)
    chosen = sample(train, params.train.sample, stratify=params.train.stratify)
    whole = chosen is given and given.groups is None and "groups" not in manifest.arrays
    used = manifest.content if whole else storage.content_digest(chosen)
    return ExampleSubset(chosen, evaluated, manifest.content, today.content, left_out, used)


def without(train: Examples, evaluated: Examples) -> tuple[Examples, int]:
    """`train` without examples that are also evaluated, and how many those were.

    Exact repeats share an id up to a suffix "-k", and leave together.
    """
    keep = ~np.isin(example_ids.bases(train.ids), example_ids.bases(evaluated.ids))
    left_out = int(len(keep) - keep.sum())
    if left_out == len(keep):
        raise UsageError("every training example is among the evaluated ones", hint="split the data again")
    return (train.take(keep) if left_out else train), left_out


def sample(train: Examples, share: float, *, stratify: bool = False) -> Examples:
    """The `share` of examples with the smallest hashes of their ids: smaller samples lie inside larger ones.

    `stratify`: the share of each stratum, of each at least one example. Raises UsageError where targets have no strata.
    """
    if share >= 1:
        return train
    hashes = [hashlib.blake2b(b"sample/" + name.encode(), digest_size=8).digest() for name in train.ids.tolist()]
    order = np.array(sorted(range(len(hashes)), key=hashes.__getitem__))
    if not stratify:
        return train.take(np.sort(order[: max(1, round(share * len(hashes)))]))
    strata = _strata(train)[order]
    chosen = [order[strata == one][: max(1, round(share * int((strata == one).sum())))] for one in np.unique(strata)]
    return train.take(np.sort(np.concatenate(chosen)))


def _strata(train: Examples) -> NDArray[np.int64]:
    """(N,) the class of each example; of values the tenth that it lies in, whatever the share."""
    if train.several is not None or train.targets[:1].size > 1:
        raise UsageError(
            f"train.stratify needs a class or a value for each example, and targets have {train.targets.shape[1:]}",
            hint="remove train.stratify in params.yaml",
        )
    targets = train.targets.reshape(len(train))
    if train.classes is not None:
        return targets.astype(np.int64)
    borders = np.quantile(targets.astype(np.float64), np.linspace(0.1, 0.9, TENTHS - 1))
    return np.searchsorted(borders, targets.astype(np.float64), side="right")
