"""Digits: 1,797 scanned handwritten digits, 8×8 grey levels from 0 to 16, that scikit-learn ships.

E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998 (CC BY 4.0).
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np


def prepare() -> dict[str, Any]:
    """Raw examples: inputs (1797, 8, 8) uint8, targets (1797,) int64, and the names of the classes.

    Reads the file inside scikit-learn: importing `sklearn.datasets` for it takes a second.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("scikit-learn, which ships the digits, is not installed")
    with gzip.open(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz") as stream:
        table = np.loadtxt(stream, delimiter=",", dtype=np.uint8)
    return {
        "inputs": table[:, :64].reshape(-1, 8, 8),
        "targets": table[:, 64].astype(np.int64),
        "classes": [str(digit) for digit in range(10)],
    }
