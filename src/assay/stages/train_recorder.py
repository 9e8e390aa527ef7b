"""The recorder beside `train`: what the network of one replicate was given and said is an output.

The recorder is reached through MODULES, by a name that is resolved in training, as the doctor is: no fingerprint of
`train` or of training holds it, and editing it trains nothing. What it took down lies beside the sealed replicate and
is in no key. Covers: `arms/net.json`. Not covered: taking it down (`assay.recorder`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from assay.core import net_record
from assay.core.net_record import NetRecord
from assay.core.schemas import DAMAGE
from assay.replicates.replicate_cache import ReplicateCache
from assay.runtime import files
from assay.runtime.stage_setup import StageContext

#: what is asked of the recorder → the module that answers
MODULES = {"records": "assay.recorder.recorders"}
NOTHING = "these replicates were trained without a recorder"
DAMAGED = "what the recorder took down is damaged"


class TrainRecorder:
    """The record of the first replicate that has one."""

    def __init__(self, ctx: StageContext) -> None:
        self.ctx = ctx
        self.module = MODULES["records"]
        self.found = b""

    def done(self, store: ReplicateCache, numbers: Sequence[int]) -> None:
        """Take what lies beside the replicates `numbers`, whenever they were trained."""
        self.found = next(filter(None, map(store.recorded, numbers)), b"")

    def write(self) -> None:
        """The output of `train`, where dvc.yaml names it: in older projects nobody would track it."""
        layout = self.ctx.layout
        name = layout.net.relative_to(layout.root).as_posix()
        if name in layout.pipeline.read_text(encoding="utf-8", errors="replace"):
            files.write_bytes(layout.net, net_record.encoded(decoded(self.found)))


def decoded(content: bytes) -> NetRecord:
    """What was taken down; a record that says why there is none."""
    if not content:
        return NetRecord(why=NOTHING)
    try:
        return msgspec.json.decode(content, type=NetRecord)
    except DAMAGE:  # of another version
        return NetRecord(why=DAMAGED)
