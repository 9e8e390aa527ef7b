"""measure: the frozen protocol. Another version of Assay asks this one to train and predict.

`python src/stage.py measure REQUEST.json`, in this tree, with these parameters and this code; the request
and the answer are records of `assay.words.records`, and change only with PROTOCOL in src/stage.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.learning.measure import measure
from assay.outside import files
from assay.words import records
from assay.words.errors import UsageError


def main(root: Path, arguments: Sequence[str], protocol: int) -> None:
    if len(arguments) != 1:
        raise UsageError(f"measure was given {len(arguments)} arguments", allowed="one path of a request")
    request = records.decode(files.read_bytes(Path(arguments[0])), records.MeasureRequest, arguments[0])
    if request.protocol != protocol:
        raise UsageError(f"the request speaks protocol {request.protocol}", allowed=f"protocol {protocol}")
    measure(request, root)
