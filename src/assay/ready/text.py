"""A ready task: texts and their classes, in a table, or as `.txt` files in a folder for each class.

    from assay.ready.text import loss, model, prepare, preprocess, transform

in task.py, with `metric.name: accuracy`; whatever is written there under one of these names stands instead. `data:` in
params.yaml has `file` and, for a table, the columns `text` and `target`; `model:` has `width` and `dropout`.

The words that a model knows are those of the training part alone (`transform`). All texts get places for as many words,
so that replicates train side by side.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.ready import class_folders, table_file

#: words that a model knows: the most frequent ones in the training part
MOST_WORDS = 10_000
#: words of a text that count, from its beginning
MOST_LENGTH = 256
#: numbers of no word, and of a word that the training part does not have
PADDING, UNKNOWN = 0, 1
_WORD = re.compile(r"\w+")


def prepare(
    *, file: str, text: str = "text", target: str = "label", delimiter: str = ",", unusable: float = 0.01
) -> dict[str, Any]:
    """Texts (N,) and the number of each one's class.

    A share of up to `unusable` may be empty, not UTF-8 or without a label: these are left out, counted, and the first
    is named. Raises UsageError above that, and for a class with a single text.
    """
    if Path(file).is_dir():
        return _in_folders(Path(file), unusable)
    table, lost = table_file.read(Path(file), unusable, delimiter)
    texts = table_file.named(table, text, "data.text", file).to_pylist()
    targets, classes, kept = table_file.labels(table, target, "classification", lost)
    empty = np.array([not str(one or "").strip() for one in texts])
    lost.add_rows(f"column {text!r}, the text, is empty", kept & empty)
    for sentence in lost.sentences():
        sys.stdout.write(f"prepare: {sentence}\n")
    rows = np.flatnonzero(kept & ~empty)
    return {"inputs": [str(texts[row]) for row in rows], "targets": targets[rows], "classes": classes}


def _in_folders(folder: Path, share: float) -> dict[str, Any]:
    """Texts of `.txt` files, a folder for each class."""
    found = class_folders.listed(folder, {".txt"}, "texts")
    outside = found.left_out.get(class_folders.OUTSIDE, [])
    lost = table_file.Unusable(str(folder), len(found.paths) + len(outside), share, what="texts")
    lost.add(class_folders.OUTSIDE, len(outside), outside[0] if outside else "")
    found.left_out.pop(class_folders.OUTSIDE, None)  # said once
    texts, labels, bad = [], [], []
    for path, label in zip(found.paths, found.labels, strict=True):
        try:
            content = path.read_text(encoding="utf-8-sig")
        except (UnicodeDecodeError, OSError) as error:
            bad.append(f"{path.as_posix()} ({error})")
            continue
        if content.strip():
            texts.append(content)
            labels.append(label)
        else:
            bad.append(f"{path.as_posix()} (empty)")
    lost.add("texts that are empty or not UTF-8", len(bad), bad[0] if bad else "")
    found.labels = labels
    class_folders.refuse_thin(found, folder, "text")
    for sentence in (*found.sentences(), *lost.sentences()):
        sys.stdout.write(f"prepare: {sentence}\n")
    return {"inputs": texts, "targets": np.array(labels, dtype=np.int64), "classes": found.classes}


def words(text: str) -> list[str]:
    """Words of a text in small letters, without what stands between them."""
    return _WORD.findall(text.lower())


class Vocabulary:
    """A transformer: numbers (N, length) of each text's words, in their order, PADDING behind."""

    def fit(self, texts: Sequence[str]) -> Vocabulary:
        counts: Counter[str] = Counter()
        longest = 1
        for text in texts:
            found = words(text)
            counts.update(found)
            longest = max(longest, len(found))
        ordered = sorted(counts, key=lambda word: (-counts[word], word))[:MOST_WORDS]
        self.places = {word: place for place, word in enumerate(ordered, UNKNOWN + 1)}
        self.length = min(longest, MOST_LENGTH)
        return self

    def transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        made = np.full((len(texts), self.length), PADDING, dtype=np.float32)
        for row, text in zip(made, texts, strict=True):
            places = [self.places.get(word, UNKNOWN) for word in words(text)[: self.length]]
            row[: len(places)] = places
        return made


def transform() -> Vocabulary:
    """What is fitted on the training part alone."""
    return Vocabulary()


def preprocess(inputs: Tensor) -> Tensor:
    """Numbers of words as an embedding takes them."""
    return inputs.long()


class MeanOfWords(nn.Module):
    """The mean of the words' embeddings, and two layers on it."""

    def __init__(self, outputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(UNKNOWN + 1 + MOST_WORDS, width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, length) numbers of words → (B, outputs) logits."""
        there = (inputs != PADDING).unsqueeze(-1)
        mean = (self.embedding(inputs) * there).sum(-2) / there.sum(-2).clamp(min=1)
        logits: Tensor = self.head(mean)
        return logits


def model(shape: tuple[int, ...], outputs: int, *, width: int = 32, dropout: float = 0.1) -> nn.Module:
    return MeanOfWords(outputs, width, dropout)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the batch, in nats."""
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
