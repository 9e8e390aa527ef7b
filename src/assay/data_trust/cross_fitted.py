"""Class probabilities of each example by a model that never saw it: linear discriminants, fitted on the other folds.

Everything that a fold's model needs is a sum over examples (counts, class means, one covariance), so that one pass
makes all five, each by taking its own fold away from the whole (Fisher 1936; the shrinking of the covariance after
Friedman 1989). Where inputs are at most 64 numbers, random Fourier features (Rahimi & Recht 2007) make it bend. Copies
and groups share a fold. A temperature makes the probabilities honest (Guo et al. 2017). Memory does not grow with the
examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from assay.data import content_hash
from assay.data_trust.example_vectors import VectorSpace
from assay.data_trust.examples_of_all_parts import PartedExamples, Piece, Rows
from assay.data_trust.image_thumbnails import Vectors
from assay.runtime import example_ids

Array = NDArray[np.float64]
FOLDS = 5
#: features that are added where inputs are few numbers, and how few
BENT, FEW = 256, 64
#: share of a plain covariance that is mixed in, at least
SHRINK = 0.02
#: examples that the temperature is found by
SAMPLE = 20_000


@dataclass(frozen=True)
class CrossFitted:
    """A model a fold: scores are `vectors @ slopes[fold] + offsets[fold]`."""

    space: VectorSpace
    folds: NDArray[np.int8]  # (N,)
    waves: tuple[Vectors, Vectors] | None  # of the random features: directions, phases
    slopes: NDArray[np.float32]  # (F, D, K)
    offsets: NDArray[np.float32]  # (F, K)
    temperature: float = 1.0

    def logits(self, examples: PartedExamples, piece: Piece) -> Array:
        """(n, K) of a piece, by the models of other folds."""
        vectors, found = self.features(self.space.vectors(examples, piece)), None
        folds = self.folds[piece.rows]
        found = np.empty((len(folds), self.slopes.shape[2]))
        for fold in np.unique(folds):
            at = folds == fold
            found[at] = vectors[at] @ self.slopes[fold] + self.offsets[fold]
        return found / self.temperature

    def probabilities(self, examples: PartedExamples, piece: Piece) -> Array:
        """(n, K) of a piece."""
        found: Array = special.softmax(self.logits(examples, piece), axis=1)
        return found

    def features(self, vectors: Vectors) -> Vectors:
        """The vectors, and waves over them where there are any."""
        if self.waves is None:
            return vectors
        directions, phases = self.waves
        return np.concatenate([vectors, np.cos(vectors @ directions + phases)], axis=1)


def fitted(examples: PartedExamples, space: VectorSpace, parts: Sequence[str]) -> CrossFitted:
    """Models of these parts' examples, whose targets are one class each."""
    classes, width = len(examples.classes or ()), len(space.mean)
    waves = _waves(width) if width <= FEW else None
    size = width + (BENT if waves else 0)
    bare = CrossFitted(space, folds(examples), waves, *_no_models(size, classes))
    counts, sums = np.zeros((FOLDS, classes)), np.zeros((FOLDS, classes, size))
    squares = np.zeros((FOLDS, size, size))
    for piece in examples.pieces(parts):
        vectors, labels = bare.features(space.vectors(examples, piece)), examples.targets(piece)
        for fold in range(FOLDS):
            at = bare.folds[piece.rows] == fold
            some, of = vectors[at], labels[at]
            counts[fold] += np.bincount(of, minlength=classes)
            np.add.at(sums[fold], of, some)
            squares[fold] += some.T @ some
    slopes, offsets = _models(counts, sums, squares)
    found = CrossFitted(space, bare.folds, waves, slopes, offsets)
    return CrossFitted(space, bare.folds, waves, slopes, offsets, _temperature(examples, found, parts))


def _no_models(size: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.zeros((0, size, classes), np.float32), np.zeros((0, classes), np.float32)


def folds(examples: PartedExamples) -> NDArray[np.int8]:
    """(N,) the fold of each example, from its group, else from its content."""
    found = []
    start = 0
    for part in examples.parts.values():
        keys = examples.keys[start : start + len(part)]
        start += len(part)
        if part.groups is not None:
            names, which = np.unique(part.groups, return_inverse=True)
            keys = content_hash.row_keys(np.char.encode(names, "utf-8"))[which]
        found.append((example_ids.key_bytes(keys)[:, :8].copy().view("<u8")[:, 0] % FOLDS).astype(np.int8))
    return np.concatenate(found)


def _waves(width: int) -> tuple[Vectors, Vectors]:
    """Directions (D, BENT) of a Gaussian kernel half as wide as the usual distance, and phases (BENT,)."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((width, BENT), dtype=np.float32) * np.float32(2 / np.sqrt(2 * width))
    return directions, rng.uniform(0, 2 * np.pi, BENT).astype(np.float32)


def _models(counts: Array, sums: Array, squares: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slopes (F, D, K) and offsets (F, K) of the model that each fold is predicted by."""
    slopes = np.zeros((FOLDS, sums.shape[2], sums.shape[1]), dtype=np.float32)
    offsets = np.zeros((FOLDS, sums.shape[1]), dtype=np.float32)
    for fold in range(FOLDS):
        n, total, second = (whole.sum(axis=0) - whole[fold] for whole in (counts, sums, squares))
        means = total / np.maximum(n, 1)[:, None]
        spread = (second - means.T @ (means * n[:, None])) / max(n.sum() - len(n), 1)
        shrink = max(SHRINK, len(spread) / (len(spread) + n.sum()))
        plain = np.trace(spread) / len(spread)
        spread = (1 - shrink) * spread + shrink * max(plain, 1e-9) * np.eye(len(spread))
        found = linalg.solve(spread, means.T, assume_a="pos")
        share = np.log(np.maximum(n, 1e-9) / n.sum())
        slopes[fold], offsets[fold] = found, share - 0.5 * np.einsum("kd,dk->k", means, found)
        offsets[fold][n == 0] = -np.inf  # a class that the other folds do not have
    return slopes, offsets


def _temperature(examples: PartedExamples, found: CrossFitted, parts: Sequence[str]) -> float:
    """What makes the probabilities of some examples most likely, of 40 temperatures from 1/4 to 64."""
    kept: list[tuple[Array, Rows]] = []
    total = sum(len(examples.parts[name]) for name in parts)
    step = max(1, total // SAMPLE)
    for piece in examples.pieces(parts):
        some = Piece(piece.part, piece.rows[::step], piece.within[::step])
        kept.append((found.logits(examples, some), examples.targets(some)))
    logits, labels = np.concatenate([one for one, _ in kept]), np.concatenate([other for _, other in kept])
    logits = np.maximum(logits, -1e6)
    candidates = np.geomspace(0.25, 64.0, 40)
    at = np.arange(len(labels))
    losses = [-special.log_softmax(logits / one, axis=1)[at, labels].mean() for one in candidates]
    return float(candidates[int(np.argmin(losses))])
