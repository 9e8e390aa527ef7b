"""Digits, split by a seeded shuffle."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

digits = load_digits()
rest, held, rest_y, held_y = train_test_split(
    digits.images, digits.target, test_size=0.3, random_state=0, stratify=digits.target
)
Path("data").mkdir(exist_ok=True)
np.savez("data/train.npz", inputs=rest, targets=rest_y)
np.savez("data/validation.npz", inputs=held[:360], targets=held_y[:360])
