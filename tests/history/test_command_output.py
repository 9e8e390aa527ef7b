"""A command's exit code never depends on what can be printed; a reader that left is no error, a full disk is one."""

from __future__ import annotations

import os

from gitproject import metrics

from support.output import ENCODINGS, ENDINGS, printed

COMMAND = ("-m", "assay", "log", "--all")


def test_characters_that_the_terminal_lacks(two_strategies):
    project = two_strategies
    project.experiment("wärm-→", {"results/metrics.json": metrics()})
    for encoding in ENCODINGS:
        done = printed(COMMAND, project.path, os.environ | encoding)
        assert done.returncode == 0 and done.stderr == b"", (encoding, done.stderr)
        assert b"0.9712" in done.stdout


def test_nobody_reads(two_strategies):
    for ending in ENDINGS:
        done = printed(COMMAND, two_strategies.path, dict(os.environ), ending)
        full = "full" in ending
        assert done.returncode == (2 if full else 0), (ending, done.stderr)
        said = b"assay: standard output could not be written (No space left on device); next: print elsewhere\n"
        assert done.stderr == (said if full else b"")


def test_a_reader_that_left_does_not_end_the_work(two_strategies):
    """The exit code is the command's own, and what it writes is written."""
    arguments = ("-m", "assay", "revoke", "cosine", "--why", "x")
    done = printed(arguments, two_strategies.path, dict(os.environ), "2>&1 | true")
    assert done.returncode == 0
    assert two_strategies.git("tag", "--list", "revoked/*") == "revoked/cosine"
    refused = printed(arguments, two_strategies.path, dict(os.environ), "2>&1 | true")
    assert refused.returncode == 2, "the tag exists"
