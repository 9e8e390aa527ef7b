"""The watch around a loop of the task's own, in the loop's process.

It is imported by the name that a job brings, so that no fingerprint of training holds it; whatever goes wrong in it is
passed over, as it watches and nothing more. Covers: beginning and ending it, its findings as plain values. Not covered:
who asks for it (`stages.train_doctor`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any


@contextmanager
def watching(module: str) -> Iterator[list[dict[str, Any]]]:
    """Findings of `watch()` of a module, filled once the block has ended; "" watches nothing."""
    found: list[dict[str, Any]] = []
    watch = _begun(module) if module else None
    if watch is None:
        yield found
        return
    try:
        yield found
    except BaseException:
        _left(watch, *sys.exc_info())
        raise
    _left(watch, None, None, None)
    with suppress(Exception):
        found += [asdict(one) for one in watch.report.findings]


def _begun(module: str) -> Any:
    try:
        watch = importlib.import_module(module).watch()
        watch.__enter__()
    except Exception:
        return None
    return watch


def _left(watch: Any, *error: Any) -> None:
    with suppress(Exception):
        watch.__exit__(*error)
