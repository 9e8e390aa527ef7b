"""The one command of dvc.yaml: `python src/stage.py STAGE`.

Started by path, so that the modules beside it are the ones that run: `python -m` would take an installed
copy of another checkout. Hashes of text are the same in every process: a task may iterate over a set. Also answers
the frozen protocol, `python src/stage.py measure REQUEST.json`.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

#: version of the measuring protocol that this tree speaks (assay/words/records.py, MeasureRequest)
PROTOCOL = 1

STAGES = {
    "context": "assay.stages.context",
    "prepare": "assay.stages.prepare",
    "split": "assay.stages.split",
    "baseline": "assay.stages.baseline",
    "train": "assay.stages.train",
    "evaluate": "assay.stages.evaluate",
    "floors": "assay.stages.floors",
    "ahead": "assay.stages.ahead",
    "beside": "assay.stages.beside",
    "measure": "assay.stages.measure",
    "trace": "assay.stages.trace",
}


def main() -> None:
    if sys.flags.hash_randomization and not sys.flags.ignore_environment and os.name != "nt":
        # Python reads it at its start only, so this process starts again, under its own number: DVC and whoever watches
        # it see nothing (20 ms, before anything else is imported). assay/cli/root.py does the same.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, sys.orig_argv)
    gc.disable()  # importing makes many objects and no garbage; collecting them costs a tenth of a second
    boundary = importlib.import_module("assay.outside.boundary")
    boundary.leave(boundary.guarded(STAGES, sys.argv[1:], PROTOCOL))


if __name__ == "__main__":
    main()
