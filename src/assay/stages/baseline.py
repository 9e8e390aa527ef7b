"""baseline: the accepted strategy, by its own code on its own training data, and the floors.

The strategy's files come from its commit, its process is its own, and it answers the frozen protocol of
`stages.measure`. `stages.floors` fits the floors meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from assay.arms import accepted
from assay.arms.accepted import Accepted
from assay.arms.own_data import own_training_data
from assay.arms.request import PAIRED, request, today, training_closure
from assay.data import examples
from assay.outside import closure, files, remembered
from assay.outside.start import Start, start
from assay.words import records
from assay.words.errors import UsageError
from assay.words.layout import Layout
from assay.words.records import Arm, Measurement, MeasureRequest

ARM = "baseline"


def main(root: Path, _arguments: Sequence[str], _protocol: int) -> None:
    begun = start(root, ARM)
    with _floors_beside(root):
        remembered.load(begun.run.store.sources)
        begun.prove()
        path = begun.layout.accepted
        mend = "dvc repro context"
        named = records.decode(files.read_bytes(path, mend), Accepted, str(path), mend)
        measured = _measured(begun, named)
    arm = Arm(
        arm=ARM,
        name=named.name,
        commit=named.commit,
        experiment="",
        environment=today(begun),
        evaluated=examples.read_manifest(begun.layout.part("validation")).content,
        measurement=measured,
        unproven=begun.unproven(),
    )
    files.write_bytes(begun.layout.record(ARM), records.encode(arm))


@contextmanager
def _floors_beside(root: Path) -> Iterator[None]:
    """Have the floors fitted while the block runs. Raises UsageError when that fails."""
    process = subprocess.Popen([sys.executable, str(root / "src" / "stage.py"), "floors"], cwd=root)
    try:
        yield
        if process.wait():
            raise UsageError("the floors could not be fitted", mend="see the line above")
    finally:
        _stop(process)


def _nothing(layout: Layout) -> None:
    """While the floor is the baseline its folders say so: dvc.yaml promises them, and DVC warns of empty ones."""
    for folder in (layout.models(ARM), layout.predictions(ARM)):
        files.write_text(folder / "README.txt", "baseline: floor; nothing was trained\n")
    files.write_text(layout.curves(ARM), "replicate,seed,epoch,train_loss,validation_loss\n")
    files.write_text(layout.log(ARM), "baseline: floor; nothing to train\n")


def _measured(begun: Start, named: Accepted) -> Measurement | None:
    if named.name == accepted.FLOOR:
        _nothing(begun.layout)
        return None
    running = Running(begun, named)
    try:
        return running.answer()
    finally:
        _stop(running.process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


def drawn(asked: MeasureRequest, named: Accepted) -> MeasureRequest:
    """The request for the replicates that the strategy stands with; a paired design shares the candidate's."""
    if asked.purpose == PAIRED:
        return asked
    numbers = [named.first + number for number in asked.replicates]
    return msgspec.structs.replace(asked, purpose=named.purpose, replicates=numbers)


class Running:
    """The accepted strategy at work in a process of its own."""

    def __init__(self, begun: Start, named: Accepted) -> None:
        self.named = named
        self.tree = accepted.unpack(begun.run, named.commit)
        code = closure.code_hash(self.tree, training_closure(self.tree, accepted.task(self.tree, named.name)))
        self.request = drawn(request(begun, ARM, own_training_data(begun, named), code), named)
        path = begun.layout.record(ARM).with_suffix(".request.json")
        files.write_bytes(path, records.encode(self.request))
        command = [sys.executable, str(self.tree / "src" / "stage.py"), "measure", str(path)]
        self.process = subprocess.Popen(command, cwd=self.tree)

    def answer(self) -> Measurement:
        """Wait for the answer. Raises UsageError when the strategy's own code fails."""
        if code := self.process.wait():
            raise UsageError(
                f"baseline {self.named.name} ({self.named.commit[:12]}): its own code failed with exit code {code}",
                mend=f"see the line above; its files are in {self.tree}; or set another baseline:",
            )
        path = Path(self.request.answer)
        measured = records.decode(files.read_bytes(path), Measurement, str(path))
        path.unlink()
        path.with_name(f"{ARM}.request.json").unlink(missing_ok=True)
        self._check_rows()
        return measured

    def _check_rows(self) -> None:
        predicted = np.load(Path(self.request.predictions) / "ids.npy", allow_pickle=False)
        expected, _ = examples.read(Path(self.request.evaluate), ["ids"])
        if not np.array_equal(predicted, expected.ids):
            raise UsageError(f"baseline {self.named.name} predicted other examples than it was asked for")
