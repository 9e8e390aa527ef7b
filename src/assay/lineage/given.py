"""Verdicts that were given: one for each different table of replicates that Git holds.

Covers: experiments, rejected ones and accepted strategies, read in one `git cat-file`. The same table under
several names (an experiment and the tag that keeps it) is one verdict.
"""

from __future__ import annotations

from pathlib import Path

from assay.judging.families import Given
from assay.lineage import columns
from assay.lineage.objects import Object, reading, refs
from assay.outside import files, git
from assay.words.errors import UsageError

PATTERNS = ("refs/exps", "refs/tags/strategy", "refs/tags/rejected")


def given(root: Path) -> list[Given]:
    """Every verdict that experiments, strategies and rejected ideas carry; tables that cannot be read are left out."""
    commits = sorted({ref.peeled for ref in refs(root, *PATTERNS)})
    path = f"{git.prefix(root)}results/replicates.csv"
    with reading(root) as objects:
        found = objects.read([f"{commit}:{path}" for commit in commits])
    return [one for item in found if item is not None and (one := _read(item)) is not None]


def _read(item: Object) -> Given | None:
    try:
        table = columns.parse(item.content, "results/replicates.csv")
        arms, version = table["arm"], table["metric_version"][0]
        candidate = arms.index("candidate")
        baselines = [name for arm, name in zip(arms, table["strategy"], strict=True) if arm == "baseline"]
    except (UsageError, KeyError, ValueError):
        return None
    identity = table["identity"][candidate] if "identity" in table else files.digest(item.content)
    return Given(identity, (baselines or ["floor"])[0], version, arms.count("candidate"))
