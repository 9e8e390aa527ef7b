"""Masked arrays: NumPy drops the mask where it makes a plain array, and what was hidden counts as a value."""

from __future__ import annotations

import numpy as np


def first_masked(values: object) -> int | None:
    """Row of the first masked entry of an array, or of a list of numbers or arrays; None where nothing is masked."""
    if isinstance(values, np.ma.MaskedArray):
        mask = np.atleast_1d(np.ma.getmaskarray(values))
        rows = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
        return int(rows[0]) if len(rows) else None
    entries = enumerate(values) if isinstance(values, list | tuple) else ()
    return next((row for row, one in entries if isinstance(one, np.ma.MaskedArray) and np.ma.is_masked(one)), None)
