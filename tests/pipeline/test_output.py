"""A stage's results never depend on what can be printed, or on who reads it."""

from __future__ import annotations

from support.output import ENCODINGS, ENDINGS, printed
from support.project import Project, environment

COMMAND = ("-m", "assay", "stage", "verdict")


def test_characters_that_the_terminal_lacks(tried: Project) -> None:
    results = tried.read("results/metrics.json")
    for encoding in ENCODINGS:
        done = printed(COMMAND, tried.root, environment(tried.home) | encoding)
        assert done.returncode == 0 and done.stderr == b"", (encoding, done.stderr)
        assert b"lr 0.003 -> 0.02" in done.stdout, "what the encoding lacks is written in ASCII"
        assert tried.read("results/metrics.json") == results


def test_nobody_reads(tried: Project) -> None:
    results = tried.read("results/metrics.json")
    for ending in ENDINGS:
        done = printed(COMMAND, tried.root, environment(tried.home), ending)
        assert done.returncode == 0 and done.stderr == b"", (ending, done.stderr)
        assert tried.read("results/metrics.json") == results
