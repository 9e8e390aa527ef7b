"""Requests of work for other machines, and what is kept beside them in a shared folder: records and paths.

Covers: what a worker is asked, who answered, who failed, which requests a launch submitted. Not covered: files
(`runtime.shared_files`), running a request (`work.run_request`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from assay.core import schemas
from assay.core.schemas import Environment, Record


class WorkRequest(Record, frozen=True, kw_only=True):
    """Replicates to train with the code of one Git tree. The same request has the same bytes, and so the same id."""

    arm: str  # candidate or baseline
    tree: str  # Git's hash of the tracked files
    object_format: str  # sha1 or sha256
    commit: str  # where the tree is a commit's; "" where edits or settings made it
    project: str  # folder of dvc.yaml in the tree, "" at its top
    git: dict[str, str]  # settings that decide what a checkout writes
    parameters: dict[str, Any]  # as resolved: what the tree's own params.yaml has to give
    profile: str
    purpose: str
    seed: int
    numbers: list[int]
    entries: list[str]  # address of each replicate in the cache, in the order of `numbers`
    execution: str
    device: str
    environment: Environment
    code: str
    train: str  # content hash of the training part
    evaluated: str  # content hash of the part to predict
    #: files that training reads and the tree has not: path from the folder of dvc.yaml → DVC's hash
    files: dict[str, str]
    first: bool = False  # whether these replicates are looked at by the doctor and the recorder

    @property
    def id(self) -> str:
        """Digest of the request's bytes."""
        return hashlib.blake2b(schemas.encode(self), digest_size=16).hexdigest()


class MadeBy(Record, frozen=True, kw_only=True):
    """Who trained a replicate, beside its sealed entry and in no digest."""

    host: str
    request: str
    seconds: float  # of the worker's whole work on the request so far
    python: str
    weights: str  # digest of the weights that it made
    predictions: str  # digest of the predictions


class WorkFailure(Record, frozen=True, kw_only=True):
    """A replicate, or a whole request, that did not train."""

    request: str
    numbers: list[int]
    host: str
    code: int  # exit code; negative for a signal
    lines: list[str]  # the last ones that were printed


class LaunchedJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request, and the engine's own name for the job that works on it."""

    request: str
    job: str


class Launch(Record, frozen=True, kw_only=True):
    """What one `assay work` submitted."""

    name: str
    engine: str
    settings: list[str]  # key=value, as typed
    label: str  # what is trained, in words
    submitted: str  # UTC
    host: str
    seconds: float | None  # of one training as measured before; None where nobody knows
    parallel: int
    jobs: list[LaunchedJob]


@dataclass(frozen=True)
class SharedPaths:
    """Every path in a shared folder. `root` is where this machine sees it; another may see it elsewhere."""

    root: Path

    @property
    def replicates(self) -> Path:
        """Sealed replicates, a folder each, as in the cache of one machine."""
        return self.root / "replicates"

    def entry(self, name: str) -> Path:
        return self.replicates / name

    def unequal(self, name: str) -> Path:
        """Entries of one address whose bytes differ: a finding, and nobody's result."""
        return self.root / "unequal" / name

    def pack(self, tree: str) -> Path:
        """Git objects of one tree."""
        return self.root / "trees" / f"{tree}.pack"

    def data(self, digest: str) -> Path:
        """A part of examples, or a file that training reads, by the hash of its content."""
        return self.root / "data" / digest

    def request(self, name: str) -> Path:
        return self.root / "requests" / f"{name}.json"

    def leases(self, entry: str) -> Path:
        """Folder of the leases on one replicate."""
        return self.root / "leases" / entry

    def checkpoints(self, request: str) -> Path:
        return self.root / "checkpoints" / request

    @property
    def launches(self) -> Path:
        """A private folder for each launch."""
        return self.root / "launches"

    def launch(self, name: str) -> Path:
        return self.launches / name / "launch.json"

    def jobs(self, launch: str) -> Path:
        """Files of the engine: scripts, process numbers, what jobs print."""
        return self.launches / launch / "jobs"

    def logs(self, request: str) -> Path:
        """What workers printed, a file for each worker and replicate."""
        return self.root / "logs" / request

    def failures(self, request: str) -> Path:
        return self.root / "failures" / request
