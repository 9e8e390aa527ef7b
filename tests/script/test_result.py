"""The number that a script reports, and what is none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.script import reported_result


def number(tmp_path: Path, text: str, key: str = "val.accuracy") -> float:
    path = tmp_path / "metrics.json"
    path.write_text(text, encoding="utf-8")
    return reported_result.read(path, key, "replicate 0")


@pytest.mark.parametrize(
    "text", ['{"val": {"accuracy": 0.25}}', '{"val.accuracy": 0.25, "val": {}}', '{"val": {"accuracy": 0.25}, "x": 1}']
)
def test_one_number(tmp_path: Path, text: str) -> None:
    assert number(tmp_path, text) == 0.25


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '"nan"', "1e999", "1" + "0" * 400])
def test_what_is_not_finite_has_diverged(tmp_path: Path, text: str) -> None:
    assert math.isnan(number(tmp_path, f'{{"val": {{"accuracy": {text}}}}}'))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"val": {"accuracy": 1, "accuracy": 2}}', "prints two numbers: metrics.json has the key 'accuracy' twice"),
        (
            '{"val": {"accuracy": 1}, "val.accuracy": 2}',
            "prints two numbers: metrics.json has val.accuracy in 2 places",
        ),
        ('{"val": {}}', "prints no number: metrics.json has no val.accuracy"),
        ("[]", "prints no number"),
        ("", "prints no number: metrics.json is no JSON"),
        ("accuracy: 0.5", "is no JSON"),
        ('{"val": {"accuracy": [0.1, 0.2]}}', "is [0.1, 0.2]; allowed: one number"),
        ('{"val": {"accuracy": "0.5"}}', "is '0.5'; allowed: one number"),
        ('{"val": {"accuracy": true}}', "is True"),
        ('{"val": {"accuracy": null}}', "is None"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_none_or_two(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        number(tmp_path, text)
    assert said in error.value.sentence


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it wrote no metrics\.json"):
        reported_result.read(tmp_path / "metrics.json", "a", "replicate 0")
