"""How long a search of a thousand settings takes to rebuild from its records, before it asks for more; seeds fixed.

OMP_NUM_THREADS=1 python benchmarks/search_rebuild.py [--settings 1000]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from assay.core import search_section
from assay.history import search_records
from assay.history.search_records import AskedGeneration, AskedSetting, FinishedSetting
from assay.runtime import append_only_ref
from assay.search import generations, tpe_proposals
from assay.search.progress import SearchState, TriedSetting

SPACE = {
    "lr": {"log": [1e-4, 1e-1]},
    "train.optimizer": {"choice": ["adam", "sgd"]},
    "train.momentum": {"float": [0.0, 0.99], "when": "train.optimizer=sgd"},
    "model.hidden": {"log_int": [16, 512]},
    "model.dropout": {"float": [0.0, 0.5]},
}
REPEATS = 5


def clock() -> float:
    """Seconds of processor time, of this process and of the ones that it waited for: others share the machine."""
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=1000)
    asked = parser.parse_args()
    plan = search_section.read({"space": SPACE, "settings": 2 * asked.settings})
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        append_only_ref.grow(home, search_records.ref("large"), lambda _: files(plan, asked.settings))
        took: dict[str, list[float]] = {"records read": [], "next step known": [], "TPE's study made": []}
        for _ in range(REPEATS):
            began = clock()
            recorded = search_records.read(home, "large")
            tried = [TriedSetting(one.number, one.values, of, one.point) for one, of in recorded.settings()]
            scores = {key: one.scores for key, one in recorded.finished.items()}
            took["records read"].append(clock() - began)
            began = clock()
            state = SearchState(plan, 1, generations.SOBOL, tried=tried, scores=scores)
            state.pending()
            took["next step known"].append(clock() - began)
            began = clock()
            values = generations.as_told(told := state.told(), "maximize", None)
            tpe_proposals.study(
                plan.space, [(one.setting, value) for one, value in zip(told, values, strict=True)], 1, "maximize"
            )
            took["TPE's study made"].append(clock() - began)
    for what, seconds in took.items():
        print(f"{what}: {min(seconds):.3f} s")
    whole = sum(min(seconds) for seconds in took.values())
    print(f"{len(tried)} settings rebuilt in {whole:.3f} s (best of {REPEATS})")


def files(plan: search_section.SearchPlan, count: int) -> dict[str, bytes]:
    """Records as a search leaves them; contenders have their additional replicates."""
    chance = np.random.default_rng(1)
    found: dict[str, bytes] = {}
    points = generations.sobol(plan.space, [], 0, count, 1)
    asked = [AskedSetting(number=number, values=one.setting, point=one.point) for number, one in enumerate(points)]
    size = generations.SIZE
    for generation in range(-(-count // size)):
        part = asked[generation * size : (generation + 1) * size]
        record = AskedGeneration(number=generation, sampler=generations.SOBOL, settings=part)
        found[f"generations/{generation:05}.json"] = msgspec.json.encode(record)
    rows: dict[tuple[int, int], list[float | None]] = {}
    tried = [TriedSetting(one.number, one.values, one.number // size, one.point) for one in asked]
    for one in asked:
        rows[one.number, 0] = [float(score) for score in chance.normal(size=plan.replicates)]
    while step := SearchState(plan, 1, generations.SOBOL, tried=tried, scores=rows).pending():
        for one in step.settings:
            rows[one.number, step.round] = [float(score) for score in chance.normal(size=plan.replicates)]
    for (number, part), scores in rows.items():
        record = FinishedSetting(number=number, round=part, scores=scores, seconds=1.0)
        found[f"settings/{number:05}-{part}.json"] = msgspec.json.encode(record)
    return found


if __name__ == "__main__":
    main()
