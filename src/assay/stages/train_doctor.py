"""The doctor beside `train`: asked before the first step of what has to be trained, and what it found is an output.

The doctor is reached through MODULES, by names that are resolved when it is asked: no fingerprint of `train` or of
training holds it, and editing it trains nothing. What it finds is in no key and moves no number; a fault of its own is
a line in its report. Covers: when it is asked, what its findings mean for `train`, `arms/doctor.json`. Not covered:
what it looks at (`stages.doctor_before_training`).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from assay.core import sanitize_output
from assay.core.errors import UsageError
from assay.core.schemas import Replicate
from assay.replicates.replicate_cache import ReplicateCache
from assay.runtime import files
from assay.runtime import source_roots as trees
from assay.runtime.stage_setup import StageContext

#: what is asked of the doctor → the module that answers
MODULES = {"examined": "assay.stages.doctor_before_training", "watched": "assay.doctor.watch"}
#: name under which findings are kept with the replicates that they are about
KEPT = "doctor"
FIT = "the task trains by fit(), a loop of its own: call assay.doctor.examine in it"
#: how a replicate that left the finite numbers stands among the findings
NON_FINITE = {"check": "non-finite", "level": "error", "group": "in-flight", "result": "fail", "threshold": "finite"}
OFF = "machine.doctor is off"
NOTHING = "nothing was trained: these replicates were trained without the doctor"


class DoctorRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`arms/doctor.json`. `doctor`: hash of the doctor's sources; `why`: why it did not look, "" where it did."""

    doctor: str
    findings: list[dict[str, Any]]
    why: str = ""
    schema: int = 1

    def failed(self, *levels: str) -> list[dict[str, Any]]:
        return [one for one in self.findings if one["result"] == "fail" and one["level"] in levels]


class TrainDoctor:
    """What the doctor said of one training; `quiet` where another process will say it."""

    def __init__(self, ctx: StageContext, quiet: bool = False) -> None:
        self.ctx, self.quiet = ctx, quiet
        self.word = ctx.params.machine.doctor
        self.record: DoctorRecord | None = None

    def before(self, group: Any) -> None:
        """Look at a `RequestRun` that is about to train. Raises UsageError where an error ends it."""
        if self.word == "off":
            return
        self.record = _asked(group, self._split_report())
        if group.store.folder is not None:
            group.store.remember(self.record, KEPT)
        self._say()
        errors = self.record.failed("error")
        if self.word == "error" and errors:
            more = f", and {len(errors) - 1} more" if errors[1:] else ""
            raise UsageError(
                f"the doctor ends the training before its first step: {_line(errors[0])}{more}",
                hint="assay doctor, or machine.doctor: warn in params.yaml to train all the same",
            )

    def loop_watch(self) -> str:
        """The module that watches a loop of the task's own; "" where nothing is to be looked at."""
        return "" if self.record is None or self.record.findings else MODULES["watched"]

    def loop_seen(self, findings: list[dict[str, Any]]) -> None:
        """Take what the watch around the first loop found."""
        if self.record is not None:
            self.record = DoctorRecord(self.record.doctor, findings)
            self._say()

    def diverged(self, replicates: Sequence[Replicate]) -> None:
        """Note the replicates that left the finite numbers, as the monitor of the product's own loop tells them."""
        gone = [(one, one.diverged) for one in replicates if one.diverged]
        if not gone or self.word == "off":
            return
        record = self.record or DoctorRecord(sources(), [], NOTHING)
        first, where = gone[0]
        finding = NON_FINITE | {
            "places": [where.tensor],
            "measured": f"epoch {where.epoch}, step {where.step} of replicate {first.number}",
            "source": "divergence monitor",
            "reason": f"{len(gone)} of {len(replicates)} replicates diverged: {where.tensor} is not finite",
            "next_step": "assay doctor; then lower lr, or set train.clip",
        }
        self.record = msgspec.structs.replace(record, findings=[finding, *record.findings])

    def done(self, store: ReplicateCache) -> None:
        """Take what was found when these replicates were trained, where that was not just now."""
        if self.record is not None and self.record.findings and store.folder is not None:
            store.remember(self.record, KEPT)  # a loop that was watched has said more since
        if self.record is None and self.word != "off":
            self.record = store.recall(DoctorRecord, KEPT)
            self._say()

    def write(self) -> None:
        """The output of `train`, where dvc.yaml names it: in older projects nobody would track it."""
        layout = self.ctx.layout
        name = layout.doctor.relative_to(layout.root).as_posix()
        if name in layout.pipeline.read_text(encoding="utf-8", errors="replace"):
            found = self.record or DoctorRecord(sources(), [], OFF if self.word == "off" else NOTHING)
            files.write_text(layout.doctor, json.dumps(msgspec.to_builtins(found), indent=2) + "\n")

    def _split_report(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = msgspec.json.decode(files.read_bytes(self.ctx.layout.split_report))
        except Exception:  # it is another stage's, and the doctor goes without
            return {}
        return found

    def _say(self) -> None:
        if self.record is None or self.quiet:
            return
        failed = self.record.failed("error", "warning")
        for one in failed:
            print(sanitize_output.line(f"train: doctor: {_line(one)}"), flush=True)
        if failed:
            print("train: next: assay doctor", flush=True)


def sources() -> str:
    """Hash of the doctor's own files, as they are."""
    found = sorted((trees.OURS / "doctor").glob("*.py"))
    lines = (f"{files.digest(path.read_bytes())} {path.name}\n" for path in found)
    return files.digest("".join(lines).encode())


def _asked(group: Any, split_report: dict[str, Any]) -> DoctorRecord:
    if group.task.fit is not None:
        return DoctorRecord(sources(), [], FIT)
    try:
        answer = importlib.import_module(MODULES["examined"])
        return DoctorRecord(sources(), answer.examined(group.plan, split_report))
    except Exception as error:  # whatever it is, it is no fault of the training
        said = " ".join(str(error).split())[:300]
        return DoctorRecord(sources(), [], f"the doctor failed with {type(error).__name__}: {said}")


def _line(one: dict[str, Any]) -> str:
    where = f" at {', '.join(one['places'])}" if one["places"] else ""
    return f"{one['level']} {one['check']}{where}: {one['reason']}"
