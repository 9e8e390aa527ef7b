"""train: the candidate, all replicates, from the tree as it stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.arms.request import request, today, training_closure
from assay.data.examples import read_manifest
from assay.outside import closure, files, git, remembered
from assay.outside.start import start
from assay.stages.measure import measured
from assay.words import records

ARM = "candidate"


def main(root: Path, _arguments: Sequence[str], _protocol: int) -> None:
    begun = start(root, "train")
    remembered.load(begun.run.store.sources)
    reached = training_closure(root, begun.params.task.name)
    begun.prove(file.as_posix() for file in reached)
    asked = request(begun, ARM, begun.layout.part("train"), closure.code_hash(root, reached))
    remembered.save(begun.run.store.sources)
    settings = {"parameters": msgspec.to_builtins(begun.params), "environment": msgspec.to_builtins(today(begun))}
    files.write_text(begun.layout.settings("train"), json.dumps(settings, indent=2) + "\n")
    found = measured(asked, root)
    Path(asked.answer).unlink()  # it is inside the record below
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
