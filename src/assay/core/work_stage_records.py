"""What the launching machine asks of a project's stages, and a worker of its own: records between two processes."""

from __future__ import annotations

from typing import Any

from assay.core.schemas import Environment, MeasureRequest, Record


class PlannedArm(Record, frozen=True, kw_only=True):
    """One arm, as its own stage would train it. Paths are those of the launching machine."""

    arm: str
    commit: str  # of an accepted strategy; "" for the candidate
    project: str  # folder of dvc.yaml with this arm's own code
    measure: MeasureRequest
    environment: Environment
    parameters: dict[str, Any]
    train: str  # content hash of the training part
    evaluated: str
    entries: list[str]  # address of each replicate, in the order of measure.replicates
    files: dict[str, str]  # path → DVC's hash of what training reads beside the tree


class PlannedWork(Record, frozen=True, kw_only=True):
    """Both arms of a run. `baseline`: the name of what candidates are measured against."""

    baseline: str
    doctor: str  # how machine.doctor is set
    arms: list[PlannedArm]


class WorkerTask(Record, frozen=True, kw_only=True):
    """What the process that trains is asked: a part of a request, with paths of the worker's machine."""

    measure: MeasureRequest
    environment: Environment  # asked for; refused before anything trains where this machine's is another
    parameters: dict[str, Any]
    entries: list[str]
    examined: bool  # whether the doctor and the recorder look at these replicates
    begun: str  # file to make once training begins
    starter: int  # number of the worker's process: whoever trains ends with it
