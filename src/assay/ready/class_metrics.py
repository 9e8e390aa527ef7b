"""Metrics of a ready task whose targets are one class an example: the entries of `ready.metrics` that apply to it."""

from __future__ import annotations

from assay.ready.metrics import accuracy, balanced_accuracy, correct, log_loss, macro_f1, nats

METRICS = {
    "accuracy": {
        "function": accuracy,
        "direction": "maximize",
        "min_effect": 0.005,
        "worst": 0.0,
        "per_example": correct,
    },
    "balanced_accuracy": {
        "function": balanced_accuracy,
        "direction": "maximize",
        "min_effect": 0.005,
        "worst": 0.0,
        "per_example": correct,
    },
    "macro_f1": {
        "function": macro_f1,
        "direction": "maximize",
        "min_effect": 0.005,
        "worst": 0.0,
        "per_example": correct,
    },
    "log_loss": {"function": log_loss, "direction": "minimize", "min_effect": 0.01, "per_example": nats},
}
