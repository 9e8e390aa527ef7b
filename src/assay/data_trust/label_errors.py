"""Examples whose label is probably wrong, by confident learning: the most suspicious first.

The rule is that of Northcutt, Jiang & Chuang (2021, J. Artificial Intelligence Research 70:1373): a class counts as
confident for an example where its probability reaches the mean probability that the examples labelled with it give it;
where the most probable confident class is another one than the label, the label is suspected. Ranked by the probability
of the label minus that of the class suggested. The probabilities are those of models that never saw the example. Not
covered: where they come from (`data_trust.cross_fitted`, or a run's predictions of the validation part).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data_trust.examples_of_all_parts import Piece, Rows

Array = NDArray[np.float64]
#: a piece → (n, K) probabilities of its rows
Probabilities = Callable[[Piece], Array]


@dataclass(frozen=True)
class SuspectedLabels:
    """S suspects, the most suspicious first. `agreement`: share of all examples whose label is the likeliest class."""

    rows: Rows  # (S,)
    labels: NDArray[np.int64]  # (S,) as they are
    suggested: NDArray[np.int64]  # (S,)
    margins: Array  # (S,) probability of the label minus that of the suggestion
    examined: int
    agreement: float

    def counts(self, classes: int) -> NDArray[np.int64]:
        """(K, K) suspects by label and suggestion."""
        found = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(found, (self.labels, self.suggested), 1)
        return found


def thresholds(pieces: Iterable[Piece], labels: Callable[[Piece], Rows], probabilities: Probabilities) -> Array:
    """(K,) mean probability of each class among the examples labelled with it; more than 1 for a class without any."""
    sums: Array | None = None
    for piece in pieces:
        chances, given = probabilities(piece), labels(piece)
        if sums is None:
            sums, counts = np.zeros(chances.shape[1]), np.zeros(chances.shape[1])
        own = chances[np.arange(len(given)), given]
        sums += np.bincount(given, own, minlength=len(sums))
        counts += np.bincount(given, minlength=len(sums))
    assert sums is not None  # a part is never empty
    return np.where(counts > 0, sums / np.maximum(counts, 1), 2.0)


def suspected(
    pieces: Iterable[Piece], labels: Callable[[Piece], Rows], probabilities: Probabilities, limits: Array
) -> SuspectedLabels:
    """Suspects among the rows of `pieces`; `limits` (K,) are the thresholds of these same rows."""
    found, examined, agreeing = [], 0, 0
    for piece in pieces:
        chances, given = probabilities(piece), labels(piece)
        at = np.arange(len(given))
        confident = np.where(chances >= limits - 1e-12, chances, -1.0)
        likeliest = confident.argmax(axis=1)
        wrong = (confident[at, likeliest] >= 0) & (likeliest != given)
        margin = chances[at, given] - chances[at, likeliest]
        found.append((piece.rows[wrong], given[wrong], likeliest[wrong], margin[wrong]))
        examined += len(given)
        agreeing += int((chances.argmax(axis=1) == given).sum())
    rows, own, other, margins = (np.concatenate(some) for some in zip(*found, strict=True))
    order = np.lexsort((rows, margins))
    share = agreeing / max(1, examined)
    return SuspectedLabels(rows[order], own[order], other[order], margins[order], examined, share)


def joined(several: list[SuspectedLabels]) -> SuspectedLabels:
    """Suspects of several sources in one ranking."""
    rows, own, other, margins = (
        np.concatenate([getattr(one, name) for one in several]) for name in ("rows", "labels", "suggested", "margins")
    )
    order, examined = np.lexsort((rows, margins)), sum(one.examined for one in several)
    share = sum(one.agreement * one.examined for one in several) / max(1, examined)
    return SuspectedLabels(rows[order], own[order], other[order], margins[order], examined, share)
