"""Whether more is better, guessed from a metric's name where neither a record nor the user says it."""

from __future__ import annotations

import re

#: parts of names that tell
_MORE = ("acc", "accuracy", "f1", "auc", "auroc", "auprc", "precision", "recall", "iou", "miou", "dice", "r2", "bleu")
_LESS = ("loss", "error", "err", "mae", "mse", "rmse", "mape", "nll", "perplexity", "ppl", "wer", "cer", "fid", "ece")


def guess(metric: str) -> str:
    """`maximize` or `minimize`; "" where the name does not tell, or tells both."""
    words = set(re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", metric).casefold()))
    more, less = not words.isdisjoint(_MORE), not words.isdisjoint(_LESS)
    return "" if more == less else "maximize" if more else "minimize"


def guessed(metric: str, direction: str) -> str:
    """What is said where it was."""
    return f"{direction} was guessed from the name {metric!r}; --direction says it"
