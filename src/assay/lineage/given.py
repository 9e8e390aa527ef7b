"""Verdicts that were given: one for each different table of replicates that Git holds.

Covers: experiments, rejected ones and accepted strategies, read in one `git cat-file`; what a commit says is remembered
under Git's common folder, where no clone brings it. The same table under several names (an experiment and the tag that
keeps it) is one verdict.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from assay.judging.families import Given
from assay.lineage import columns
from assay.lineage.objects import Object, reading, refs
from assay.outside import files, git
from assay.words.errors import UsageError
from assay.words.records import DAMAGE

_ASKED = ("arm", "strategy", "metric_version", "identity")
PATTERNS = ("refs/exps", "refs/tags/strategy", "refs/tags/rejected")
#: commit → strategy, baseline, metric version and replicates of its verdict; nothing where it has none
_Known = dict[str, tuple[str, str, str, int] | None]


def given(root: Path) -> list[Given]:
    """Every verdict that experiments, strategies and rejected ideas carry; tables that cannot be read are left out."""
    prefix = git.prefix(root)
    path, commits = _memory(root, prefix), sorted({ref.peeled for ref in refs(root, *PATTERNS)})
    known = _recall(path)
    found = {commit: known[commit] for commit in commits if commit in known}
    if missing := [commit for commit in commits if commit not in found]:
        with reading(root) as objects:
            read = objects.read([f"{commit}:{prefix}results/replicates.csv" for commit in missing])
        found |= {commit: _read(item) if item else None for commit, item in zip(missing, read, strict=True)}
        _remember(path, found)
    return [Given(*one) for commit in commits if (one := found[commit])]


def _read(item: Object) -> tuple[str, str, str, int] | None:
    try:
        table = _plain(item.content) or columns.parse(item.content, "results/replicates.csv")
        arms, version = table["arm"], table["metric_version"][0]
        candidate = arms.index("candidate")
        baselines = [name for arm, name in zip(arms, table["strategy"], strict=True) if arm == "baseline"]
    except (UsageError, KeyError, ValueError):
        return None
    identity = table["identity"][candidate] if "identity" in table else files.digest(item.content)
    return identity, (baselines or ["floor"])[0], version, arms.count("candidate")


def _plain(content: bytes) -> columns.Table | None:
    """The columns that say which verdict it is, of a table as `evaluate` writes it: a third of the time; else None."""
    header, *rows = content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    names = header.split(",")
    cells = [row.split(",") for row in rows]
    if b'"' in content or b"\r" in content or any(len(row) != len(names) for row in cells) or not cells:
        return None
    return {name: [row[names.index(name)] for row in cells] for name in _ASKED if name in names}


def _memory(root: Path, prefix: str) -> Path:
    common = git.run(root, "rev-parse", "--path-format=absolute", "--git-common-dir")
    return Path(common, "assay", f"given-{files.digest(prefix.encode('utf-8', 'surrogateescape'))}.json")


def _recall(path: Path) -> _Known:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Known)
    except (OSError, *DAMAGE):
        return {}


def _remember(path: Path, found: _Known) -> None:
    with suppress(OSError):
        files.write_bytes(path, msgspec.json.encode(found))
