"""Every path that the pipeline reads or writes, relative to the folder that holds dvc.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PARAMS = "params.yaml"
#: in a folder of examples: what it holds, with a hash of it
MANIFEST = "manifest.json"
PIPELINE = "dvc.yaml"
LOCK = "dvc.lock"

PARTS = ("train", "validation", "test")
ARMS = ("baseline", "candidate")
#: file beside the predictions of floors: why some are not there
ABSENT = "absent.json"
#: stages of dvc.yaml that depend on code, in their order; `context` runs before them and `verdict` behind, always
CODED = ("prepare", "split", "baseline", "train", "evaluate")
#: stages that a script's pipeline goes without
OF_DATA = ("prepare", "split")
#: all stages of ours; a stage of another name is the user's own
STAGES = ("context", *CODED, "verdict")


@dataclass(frozen=True)
class ProjectPaths:
    """Paths of one project. `root` is the folder that holds dvc.yaml."""

    root: Path

    @property
    def params(self) -> Path:
        return self.root / PARAMS

    @property
    def pipeline(self) -> Path:
        return self.root / PIPELINE

    @property
    def lock(self) -> Path:
        return self.root / LOCK

    @property
    def prepared(self) -> Path:
        return self.root / "data" / "prepared"

    @property
    def split_report(self) -> Path:
        return self.root / "data" / "split" / "report.json"

    def part(self, name: str) -> Path:
        """Folder of one part: train, validation or test."""
        return self.root / "data" / "split" / name

    def manifest(self, name: str) -> Path:
        """What a part holds, with a hash of its content."""
        return self.part(name) / MANIFEST

    @property
    def environment(self) -> Path:
        return self.root / "context" / "environment.json"

    @property
    def machine(self) -> Path:
        """The environment of this machine, where classes of machine are blocks; no stage depends on it."""
        return self.root / "context" / "machine.json"

    @property
    def accepted(self) -> Path:
        return self.root / "context" / "baseline.json"

    @property
    def draw(self) -> Path:
        """Which replicates a candidate trains."""
        return self.root / "context" / "draw.json"

    def code(self, stage: str) -> Path:
        """What `context` found of the code that a stage reaches."""
        return self.root / "context" / f"code-{stage}.json"

    @property
    def baseline_metric(self) -> Path:
        """Today's metric as the baseline defines it."""
        return self.root / "context" / "metric.json"

    def models(self, arm: str) -> Path:
        return self.root / "models" / arm

    def predictions(self, arm: str) -> Path:
        return self.root / "predictions" / arm

    @property
    def floors(self) -> Path:
        return self.root / "predictions" / "floors"

    def record(self, arm: str) -> Path:
        """Identity and environment of one arm: who was measured, on what."""
        return self.root / "arms" / f"{arm}.json"

    @property
    def doctor(self) -> Path:
        """What the doctor found before the candidate trained."""
        return self.root / "arms" / "doctor.json"

    @property
    def net(self) -> Path:
        """What the candidate's network was given and said while it trained."""
        return self.root / "arms" / "net.json"

    def script(self, arm: str) -> Path:
        """What a script's arm depends on beside its code."""
        return self.root / "context" / f"script-{arm}.json"

    def logs(self, arm: str) -> Path:
        """What each replicate of a script printed, a file each."""
        return self.root / "logs" / arm

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def metrics(self) -> Path:
        return self.results / "metrics.json"

    @property
    def replicates(self) -> Path:
        return self.results / "replicates.csv"

    @property
    def verdict(self) -> Path:
        """The verdict in words, which the last stage prints."""
        return self.results / "verdict.txt"

    @property
    def confirmation(self) -> Path:
        """Fresh replicates of both arms, in the tree of an accepted strategy."""
        return self.results / "confirmation.csv"

    @property
    def rulers(self) -> Path:
        """One row a metric: what its numbers may be compared with, and how they are judged."""
        return self.results / "rulers.csv"

    @property
    def slices(self) -> Path:
        """The deciding metric by slice, and each class by itself."""
        return self.results / "slices.csv"

    @property
    def cases(self) -> Path:
        return self.results / "cases.csv"

    @property
    def case_record(self) -> Path:
        """Examples behind the verdict, each as a person sees it, and what luck alone would give."""
        return self.results / "cases.json"

    def log(self, stage: str) -> Path:
        return self.results / f"{stage}.log"

    def settings(self, stage: str) -> Path:
        return self.results / f"{stage}.settings.json"

    @property
    def plots(self) -> Path:
        return self.root / "plots"

    def curves(self, arm: str) -> Path:
        return self.plots / f"curves-{arm}.csv"


#: the same as Git and DVC name them, from the folder of dvc.yaml
IN_PROJECT = ProjectPaths(Path())
METRICS = IN_PROJECT.metrics.as_posix()
REPLICATES = IN_PROJECT.replicates.as_posix()
RULERS = IN_PROJECT.rulers.as_posix()
RESULTS, PLOTS = IN_PROJECT.results.as_posix(), IN_PROJECT.plots.as_posix()
TRAINING_PART, VALIDATION_PART = (IN_PROJECT.part(name).as_posix() for name in PARTS[:2])


#: folders of the cache that hold one thing in each of their entries
KINDS = ("replicates", "checkpoints", "trees", "data", "decoded", "exports", "cells", "scripts")


@dataclass(frozen=True)
class CachePaths:
    """Our cache: a folder of ours in DVC's own tmp, shared by every kind of run; deletable at any moment.

    `home` is the folder with `.dvc` in the main work tree of the user's repository (`runtime.dvc_yaml.store` finds it).
    """

    home: Path

    @property
    def root(self) -> Path:
        return self.home / ".dvc" / "tmp" / "assay"

    @property
    def replicates(self) -> Path:
        """Finished replicates, one folder each."""
        return self.root / "replicates"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def sources(self) -> Path:
        """What the analysis of sources found, by their content."""
        return self.root / "sources.cache"

    @property
    def trees(self) -> Path:
        return self.root / "trees"

    def tree(self, commit: str) -> Path:
        """The repository's files as a checkout of a commit writes them."""
        return self.trees / f"checkout-{commit}"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    def export(self, tag: str, ensemble: bool) -> Path:
        """The model of an accepted strategy, as `assay export` writes it; `tag` is the hash of the tag object."""
        return self.exports / f"{tag}{'-ensemble' if ensemble else ''}"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def foreign(self, digest: str) -> Path:
        """A data part of another revision, by its content hash."""
        return self.data / digest

    @property
    def cells(self) -> Path:
        """Where `assay sweep` and `assay ablate` run, a folder for each run under way."""
        return self.root / "cells"

    @property
    def scripts(self) -> Path:
        """Copies of a project in which its script runs, a folder for each arm under way."""
        return self.root / "scripts"

    @property
    def accept(self) -> Path:
        """Where `assay accept` works."""
        return self.root / "accept"

    @property
    def kinds(self) -> tuple[Path, ...]:
        return tuple(self.root / name for name in KINDS)
