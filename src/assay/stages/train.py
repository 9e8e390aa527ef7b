"""train: the candidate, all replicates, from the tree as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.data.examples import read_manifest
from assay.learning.measure import measure
from assay.outside import closure, files, git, task_source
from assay.stages.request import request, today
from assay.stages.start import start
from assay.words import records

ARM = "candidate"


def main(root: Path, _arguments: Sequence[str], _protocol: int) -> None:
    begun = start(root, "train")
    task = task_source.path(root, begun.params.task.name, "learning").relative_to(root)
    reached = closure.import_closure(root, [*closure.LEARNING, task])
    begun.prove(file.as_posix() for file in reached)
    asked = request(begun, ARM, begun.layout.part("train"), closure.code_hash(root, reached))
    files.write_bytes(begun.layout.settings(ARM), records.encode(asked))
    found = measure(asked, root)
    arm = records.Arm(
        arm=ARM,
        name=ARM,
        commit=git.run(root, "rev-parse", "HEAD"),
        experiment=begun.run.experiment,
        environment=today(begun),
        evaluated=read_manifest(begun.layout.part("validation")).content,
        measurement=found,
        unproven=begun.unproven(),
    )
    files.write_bytes(begun.layout.record(ARM), records.encode(arm))
