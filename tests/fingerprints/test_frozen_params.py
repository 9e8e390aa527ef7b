"""Parameters of earlier releases: what they meant then they mean today, and what came since is off."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.baseline.accepted_strategy import otherwise
from assay.core import params_yaml
from assay.runtime import dvc_yaml

FROZEN = sorted((Path(__file__).parents[1] / "fixtures/params").glob("*.yaml"))


@pytest.mark.parametrize("file", FROZEN, ids=lambda path: path.stem)
def test_it_resolves_as_it_did(file: Path) -> None:
    """The lines beside it were written by the release itself, for both of its profiles."""
    for profile in ("full", "fast"):
        then = file.with_name(f"{file.stem}.{profile}.txt").read_text(encoding="utf-8").splitlines()
        assert len(then) > 10
        assert otherwise(then, params_yaml.lines(params_yaml.resolved(file.read_bytes(), profile))) == []


def test_another_default_is_seen_and_a_new_option_is_not() -> None:
    assert otherwise(["lr: 0.1", "clip: 0.0"], ["lr: 0.1", "clip: 1.0"]) == ["clip was 0.0, is 1.0"]
    assert otherwise(["lr: 0.1", "gone: 1"], ["lr: 0.1"]) == ["gone was 1, is unknown"]
    assert otherwise(["lr: 0.1"], ["lr: 0.1", "new: false"]) == []


PIPELINE = b"""stages:
  train: {cmd: assay stage train, params: [lr, strange]}
  publish:
    cmd: python publish.py --where ${target.folder}
    params: [detector.threshold, seed, other.yaml: [elsewhere], params.yaml: [more.a]]
"""
OWN = b"lr: 0.1  # step\n"


@pytest.mark.parametrize(
    ("section", "stays"),
    [
        (b"detector:\n  threshold: 0.5\n\n  # why\n  deep: {a: 1}\n", False),
        (b"target: {folder: here}\n", False),
        (b"more: 1\n", False),
        (b"'detector': {threshold: 1}\n", False),
        (b"elsewhere: 1\n", True),
        (b"strange: 1\n", True),  # one of our stages declares it
        (b"seed: 3\n", True),  # ours, whoever reads it beside us
    ],
)
def test_a_section_is_foreign_where_a_foreign_stage_declares_it(section: bytes, stays: bool) -> None:
    for content in (OWN + section, section + OWN):
        found = dvc_yaml.own_parameters(content, PIPELINE)
        assert found == content if stays else (found == OWN or (b"'" in section and b"detector" not in found))
    assert dvc_yaml.own_parameters(b"lr: [", PIPELINE) == b"lr: ["
    assert dvc_yaml.own_parameters(OWN + section, b"stages: [") == OWN + section
