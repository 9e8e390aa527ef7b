"""Groups: all replicates of one strategy under one ruler; the unit that is compared.

Covers: a group cannot be made from mixed members or with a seed counted twice; two groups under different rulers
cannot be subtracted, and every differing field is named. Not covered: where the numbers stand
(`commands.compare_sides`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from assay.core.errors import IncomparableError, UsageError
from assay.stats.compare_arms import MeasuredArm

#: field of a ruler that says which versions of packages the metric imported
PACKAGES = "metric_packages"


@dataclass(frozen=True)
class MetricConditions:
    """What must agree before two numbers may be subtracted. "" where nothing is recorded."""

    metric_version: str = ""
    profile: str = ""
    environment: str = ""
    direction: str = ""
    metric_packages: str = ""  # versions of what the metric imports; older records say none, and agree with any

    def differing(self, other: MetricConditions) -> dict[str, tuple[str, str]]:
        """Field → both values, for every field that differs."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__}
        if "" in pairs[PACKAGES]:
            del pairs[PACKAGES]
        return {name: values for name, values in pairs.items() if values[0] != values[1]}


class Member(NamedTuple):
    """One replicate; `value` is None where it diverged."""

    value: float | None
    seed: str
    ruler: MetricConditions
    block: str = ""  # class of machine that trained it, where classes are blocks


class DifferingRulers(IncomparableError):
    """Two sides, or the members of one group, that were measured differently. `fields`: name → both values."""

    def __init__(self, who: str, fields: dict[str, tuple[str, str]], hint: str) -> None:
        self.fields = fields
        told = "; ".join(
            f"{name}: {a or 'not recorded'} against {b or 'not recorded'}" for name, (a, b) in fields.items()
        )
        super().__init__(f"{who} cannot be compared: {told}", hint=hint)


@dataclass(frozen=True)
class ReplicateGroup:
    """All replicates of one strategy. Raises in its constructor for mixed rulers and for a seed that is there twice."""

    name: str
    members: tuple[Member, ...]
    overlap: float | None = None  # of splits, where each replicate has one

    def __post_init__(self) -> None:
        if not self.members:
            raise UsageError(f"{self.name} has no replicate", allowed="at least one")
        for ruler in {member.ruler for member in self.members}:
            if fields := self.ruler.differing(ruler):
                raise DifferingRulers(
                    f"replicates of {self.name}", fields, "measure them again in one run: dvc exp run"
                )
        twice = [seed for seed, count in Counter(self.seeds).items() if count > 1]
        if twice:
            raise UsageError(f"{self.name} holds seed {twice[0]} {self.seeds.count(twice[0])} times", allowed="once")

    @property
    def ruler(self) -> MetricConditions:
        return self.members[0].ruler

    @property
    def seeds(self) -> list[str]:
        """Recorded seeds; empty where none is."""
        return [member.seed for member in self.members if member.seed]

    @property
    def values(self) -> list[float]:
        return [member.value for member in self.members if member.value is not None]

    @property
    def diverged(self) -> int:
        return sum(member.value is None for member in self.members)

    @property
    def arm(self) -> MeasuredArm:
        """As `compare_arms` takes it: by seed, by place where no seed is recorded."""
        named = bool(self.seeds)
        keys = [member.seed if named else place for place, member in enumerate(self.members)]
        blocks = {key: member.block for key, member in zip(keys, self.members, strict=True) if member.block}
        values = [member.value for member in self.members]
        return MeasuredArm(list(zip(keys, values, strict=True)), self.overlap, blocks or None)


def check_independent(baseline: ReplicateGroup, candidate: ReplicateGroup) -> None:
    """Raises UsageError where runs share a seed although the test takes them for independent."""
    shared = [seed for seed in candidate.seeds if seed in set(baseline.seeds)]
    if shared:
        raise UsageError(
            f"{baseline.name} and {candidate.name} share seeds ({', '.join(shared[:5])}{', …' * (len(shared) > 5)}), "
            "so their runs are not independent",
            allowed="other seeds on each side, or a design that pairs them",
            hint="--test paired, if the pairing was planned; else measure one side with another `seed`",
        )


def missing_pairs(baseline: ReplicateGroup, candidate: ReplicateGroup) -> str:
    """A caution where the sides share some seeds and not all, which is no design of pairs; "" anywhere else."""
    one, other = set(baseline.seeds), set(candidate.seeds)
    alone = sorted(one ^ other)
    if not one & other or not alone:
        return ""
    return (
        f"{len(one & other)} seeds stand on both sides and {', '.join(alone[:3])}{', …' * (len(alone) > 3)} on one: "
        "judged unpaired, as a pair is missing"
    )


def check_paired(baseline: ReplicateGroup, candidate: ReplicateGroup) -> None:
    """Raises UsageError where runs of one side have no partner: by seed, by number of runs where none is recorded."""
    wanted = "the same seeds {}on both sides of a paired comparison"
    if not baseline.seeds and not candidate.seeds:
        runs = len(baseline.members), len(candidate.members)
        if runs[0] != runs[1]:
            told = f"a paired comparison has {runs[0]} baseline and {runs[1]} candidate replicates"
            raise UsageError(told, allowed=wanted.format("in the same order "))
        return
    if alone := sorted(set(baseline.seeds) ^ set(candidate.seeds)):
        raise UsageError(
            f"only one of {baseline.name} and {candidate.name} has seeds {', '.join(alone[:5])}",
            allowed=wanted.format(""),
        )
