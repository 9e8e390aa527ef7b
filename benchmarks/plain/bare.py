"""The bare loop: twenty trainings in one process and a t-test; nothing is recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml
from network import accuracy, load, train
from scipy.stats import ttest_ind

params = yaml.safe_load(Path("params.yaml").read_text())
seeds, lr = int(sys.argv[1]), float(sys.argv[2])
parts, held = load("train"), load("validation")
arms = [
    [accuracy(train(*parts, {**params, "seed": seed, "lr": rate}), *held) for seed in range(seeds)]
    for rate in (params["lr"], lr)
]
found = ttest_ind(arms[1], arms[0], equal_var=False)
print(f"{sum(arms[0]) / seeds:.4f} {sum(arms[1]) / seeds:.4f} p={found.pvalue:.2g}")
