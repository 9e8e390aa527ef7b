"""What DVC did with each stage."""

from __future__ import annotations


def stages(said: str) -> dict[str, str]:
    """Stage → whether DVC ran it, restored it from its run cache, or skipped it, by its output."""
    did: dict[str, str] = {}
    for line in said.splitlines():
        words = line.split("'")
        if line.startswith("Running stage"):
            did[words[1]] = "ran"
        elif line.startswith("Stage") and "is cached" in line:
            did[words[1]] = "restored"
        elif line.startswith("Stage") and "didn't change" in line:
            did[words[1]] = "skipped"
    return did
