"""Groups that Git keeps under a profile, each with the conditions under which it may stand for that profile.

Covers: experiments, accepted strategies, HEAD and the work tree: which setting was measured, under which profile,
metric version, data, baseline and environment. Not covered: what pairs of them say (`stats.profile_fidelity`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay.baseline.accepted_strategy import FLOOR
from assay.core import params_yaml
from assay.core.errors import AssayError
from assay.core.metric_version import metric_name
from assay.core.params_yaml import Params
from assay.core.paths import IN_PROJECT, LOCK, PARAMS, REPLICATES, TRAINING_PART, VALIDATION_PART, ProjectPaths
from assay.core.schemas import Record
from assay.history import replicates_rows
from assay.history.experiments import Repository
from assay.runtime import dvc_lock, dvc_yaml, files, git
from assay.runtime.git_objects import reading

#: the profile that verdicts are about in the end
FULL = "full"
_CODE = IN_PROJECT.code("train").as_posix()


class ProfileTerms(Record, frozen=True, kw_only=True):
    """What two groups of different profiles must share, before the one may tell of the other."""

    metric_version: str
    data: str  # hash of the training and the evaluated part
    baseline: str  # commit, or floor
    environment: str
    profiles: dict[str, str]  # name → hash of its overlay


@dataclass(frozen=True)
class ProfileGroup:
    """Candidate of one commit. `setting`: the same for one strategy under any profile.

    `values`: one a replicate, None where it diverged.
    """

    name: str
    commit: str
    base: str  # commit that the experiment was run on, "" for what is none
    profile: str
    setting: str
    terms: ProfileTerms
    identity: str
    against: str  # identity of the measured baseline, "" for a floor
    direction: str
    worst: float | None
    values: tuple[float | None, ...]
    lock: bytes

    @property
    def numbers(self) -> list[float] | None:
        """All values, a diverged one as the metric's worst; None where nothing stands for it."""
        if self.worst is None and None in self.values:
            return None
        return [self.worst if one is None else one for one in self.values]  # type: ignore[misc]


def find(root: Path, repository: Repository) -> list[ProfileGroup]:
    """Groups of all experiments, accepted strategies and HEAD. What has no readable record is passed over."""
    asked = [(one.name, one.commit, one.base) for one in repository.experiments]
    asked += [(tag.name, tag.commit, "") for tag in repository.tags if tag.event is not None]
    asked.append(("HEAD", git.run(root, "rev-parse", "HEAD"), ""))
    commits = {name: ref.peeled for name, ref in repository.refs.items()}
    prefix = git.prefix(root)
    with reading(root) as objects:
        tables = objects.read([f"{commit}:{prefix}{REPLICATES}" for _, commit, _ in asked])
        locks = objects.read([f"{commit}:{prefix}{LOCK}" for _, commit, _ in asked])
    found = []
    for who, table, lock in zip(asked, tables, locks, strict=True):
        if table is None or lock is None:
            continue
        content = dvc_yaml.parameters_at(root, who[1]) or b""
        if group := _group(who, content, table.content, lock.content, commits):
            found.append(group)
    return found


def overlays(written: Params) -> dict[str, str]:
    """Profile → hash of what it lays over the parameters."""
    return {name: _digest(overlay) for name, overlay in sorted(written.profiles.items())}


def baseline_commit(home: Path, written: Params) -> str:
    """The commit that `baseline:` names today, or floor."""
    return _commit(written.baseline, TagCommits(home))


def of_work_tree(layout: ProjectPaths, home: Path) -> ProfileGroup | None:
    """The group whose results lie in the work tree; `home` is the repository with the tags."""
    try:
        table, lock = layout.replicates.read_bytes(), layout.lock.read_bytes()
        return _group(("", "", ""), dvc_yaml.parameters(layout.root), table, lock, TagCommits(home))
    except (OSError, AssayError):
        return None


def of_commit(root: Path, commit: str) -> ProfileGroup | None:
    """The group that `commit` keeps, None where it has no readable record."""
    table, lock = git.read(root, commit, REPLICATES), git.read(root, commit, LOCK)
    if table is None or lock is None:
        return None
    return _group(("", commit, ""), dvc_yaml.parameters_at(root, commit) or b"", table, lock, TagCommits(root))


class TagCommits(dict[str, str]):
    """Full name of a ref → commit, asked for when it is needed."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home = home

    def __missing__(self, name: str) -> str:
        return git.run(self._home, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False)


def _group(
    who: tuple[str, str, str], content: bytes, table: bytes, lock: bytes, commits: Mapping[str, str]
) -> ProfileGroup | None:
    try:
        written, rows = params_yaml.load(content, PARAMS), replicates_rows.rows(table)
        candidate = [row for row in rows if row["arm"] == "candidate"]
        first, stages = candidate[0], dvc_lock.stages(lock)
        train = dvc_lock.hashes(stages.get("train", {}), "deps")
        code = train[_CODE]  # without it nobody knows which strategy this is
        metric = metric_name(first["metric_version"])
        values = [float(row[metric]) if row["status"] == "ok" else None for row in candidate]
    except (AssayError, KeyError, IndexError, ValueError):
        return None
    terms = ProfileTerms(
        metric_version=first["metric_version"],
        data=_data(train),
        baseline=_commit(written.baseline, commits),
        environment=first["environment"],
        profiles=overlays(written),
    )
    return ProfileGroup(
        name=who[0],
        commit=who[1],
        base=who[2],
        profile=first["profile"],
        setting=_digest([_settings(written), code, terms.data]),
        terms=terms,
        identity=first["identity"],
        against=next((row["identity"] for row in rows if row["arm"] == "baseline"), ""),
        direction=first["direction"],
        worst=replicates_rows.worst(first),
        values=tuple(values),
        lock=lock,
    )


def _settings(written: Params) -> Sequence[object]:
    """The parameters of a strategy before any profile is laid over them."""
    return sorted(params_yaml.lines(written))


def _data(train: Mapping[str, str]) -> str:
    """Hash of the data that training reads: both parts, or for a script whatever it names."""
    parts = {path: digest for path, digest in train.items() if path in (TRAINING_PART, VALIDATION_PART)}
    return _digest(sorted((parts or dict(_named(train))).items()))


def _named(train: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((path, digest) for path, digest in train.items() if Path(path).parent != IN_PROJECT.environment.parent)


def _commit(name: str, commits: Mapping[str, str]) -> str:
    """What `baseline:` names today. Two names of one commit are one baseline."""
    if name == FLOOR:
        return FLOOR
    try:
        return commits[f"refs/tags/{name}"] or name
    except KeyError:
        return name


def _digest(value: object) -> str:
    return files.digest(msgspec.json.encode(value, order="sorted"))
