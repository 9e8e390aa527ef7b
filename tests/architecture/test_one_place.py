"""What stands at one place, so that no other can forget it: printing, reading arrays, splitting Git's text, the ways
to a score and to a comparison."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "assay"
#: pattern → (folders that are searched, files that may)
PLACES = {
    r"click\.echo\(|\bprint\(|click\.secho\(": ("cli", {"cli/printing.py"}),
    r"np\.load\(|numpy\.load\(": (".", {"serving/raw_examples.py"}),
    r"allow_pickle=True|pickle\.loads?\(|(?<!safetensors\.)torch\.load\(": (
        ".",
        {
            "training/pretrained_weights.py",  # in a command that a message shows
            "serving/predict.py",  # a fitted transformer, in a folder whose own source is run as well
        },
    ),
    r"\.splitlines\(": ("history", {"history/metric_changing_commits.py"}),
    r"rpartition\(\"-\"\)\[0\]|metric_version.*split\(": (".", set()),
    r"std\(.*ddof=1": (".", {"stats/arm_scores.py"}),
    r"hashlib.*row\.tobytes\(": (".", {"metrics/replicate_scores.py", "data/validate_examples.py"}),
    r"[^_\w.]entered\(": (".", {"stats/arm_comparison.py", "stats/compare_arms.py"}),
    r"stdout.*\.splitlines\(": (".", {"runtime/accelerators.py"}),
}


@pytest.mark.parametrize("pattern", PLACES)
def test_it_stands_at_its_place_alone(pattern: str) -> None:
    folder, allowed = PLACES[pattern]
    files = {path.relative_to(SOURCE).as_posix(): path.read_text("utf-8") for path in (SOURCE / folder).rglob("*.py")}
    found = {name for name, text in files.items() if re.search(pattern, text)}
    assert found <= allowed
