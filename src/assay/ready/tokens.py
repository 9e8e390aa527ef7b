"""A ready task: a language model of characters, or of bytes, of one text or a folder of texts.

    from assay.ready.tokens import loss, model, prepare, preprocess, score

in task.py, with `metric.name: nats_per_token`; whatever is written there under one of these names stands instead.
`data:` in params.yaml has `file`, `length` and `unit`, `model:` has `width` and `layers`. The text is cut into windows
that follow each other and is split in that order: the end of it is judged, and nothing of it trains.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.core.errors import UsageError

#: characters of a text that a small model can tell apart
MOST_CHARACTERS = 4096


def prepare(*, file: str, length: int = 64, unit: str = "characters") -> dict[str, Any]:
    """Windows (N, length) of tokens, each with the token that follows as its target.

    `file` is a text or a folder of `.txt` files, seen from the folder of dvc.yaml; `unit` is characters or bytes.
    Raises UsageError for a text that is not UTF-8, naming the place, and for one too short for three windows.
    """
    if unit not in ("characters", "bytes"):
        raise UsageError(f"data.unit is {unit!r}", allowed="characters, bytes")
    tokens, names = _bytes(_paths(Path(file))) if unit == "bytes" else _characters(_paths(Path(file)))
    count = (len(tokens) - 1) // length
    if count < 3:
        raise UsageError(
            f"{file} has {len(tokens)} {unit}, {max(0, count)} windows of {length}",
            allowed="at least three windows, one for each part",
            hint="bring more text, or lower data.length in params.yaml",
        )
    if left := len(tokens) - 1 - count * length:
        sys.stdout.write(f"prepare: the last {left} {unit} of {file} fill no window and are left out\n")
    return {
        "inputs": tokens[: count * length].reshape(count, length),
        "targets": tokens[1 : count * length + 1].reshape(count, length).astype(np.int64),
        "classes": names,
        "order": np.arange(count),
        "kind": "tokens",
    }


def _paths(place: Path) -> list[Path]:
    found = sorted(place.rglob("*.txt")) if place.is_dir() else [place]
    if not found or not found[0].is_file():
        raise UsageError(
            f"data.file is {str(place)!r}, and no text is there", allowed="a text, or a folder with .txt files"
        )
    return found


def _bytes(paths: list[Path]) -> tuple[NDArray[np.uint8], list[str]]:
    content = b"".join(path.read_bytes() for path in paths)
    return np.frombuffer(content, dtype=np.uint8).copy(), [f"{value:02x}" for value in range(256)]


def _characters(paths: list[Path]) -> tuple[NDArray[Any], list[str]]:
    text = "".join(map(_text, paths))
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    seen, tokens = np.unique(codes, return_inverse=True)
    if len(seen) > MOST_CHARACTERS:
        raise UsageError(
            f"the text has {len(seen)} different characters",
            allowed=f"at most {MOST_CHARACTERS}",
            hint="set data.unit: bytes",
        )
    names = [chr(code) if chr(code).isprintable() else f"U+{code:04X}" for code in seen.tolist()]
    return tokens.astype(np.uint8 if len(seen) <= 256 else np.int32), names


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}, row {row}: byte {content[error.start]:#04x} is not UTF-8",
            hint="write the file as UTF-8, or set data.unit: bytes in params.yaml",
        ) from error


class NextToken(nn.Module):
    """Embedding, gated recurrent layers, and logits of the next token at each place."""

    def __init__(self, outputs: int, width: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(outputs, width)
        self.recurrent = nn.GRU(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, T) tokens → (B, T, outputs) logits."""
        states, _ = self.recurrent(self.embedding(inputs))
        logits: Tensor = self.head(states)
        return logits


def model(shape: tuple[int, ...], outputs: int, *, width: int = 64, layers: int = 1) -> nn.Module:
    return NextToken(outputs, width, layers)


def preprocess(inputs: Tensor) -> Tensor:
    """Tokens as an embedding takes them."""
    return inputs.long()


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean nats a token; padding (-1) left out."""
    return score(outputs, targets).sum() / (targets >= 0).sum().clamp(min=1)


def score(outputs: Tensor, targets: Tensor) -> Tensor:
    """Nats of each token (N, T), 0 for padding: what is kept, as probabilities of all tokens are too large."""
    nats = -outputs.log_softmax(-1).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return nats * (targets >= 0)
