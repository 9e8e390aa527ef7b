"""`assay`, and `python -m assay`: a stage of dvc.yaml at once, every other command through the command line.

A stage must not wait for the command line's imports, nor find a project's modules before Python's own.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys


def main() -> None:
    if sys.flags.hash_randomization and not sys.flags.ignore_environment and os.name != "nt":
        # A task may iterate over a set: hashes of text are the same in every process. Python reads this at its start
        # only, so this process starts again, under its own number: DVC and whoever watches it see nothing (20 ms,
        # before anything else is imported).
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, sys.orig_argv)
    if sys.argv[1:2] == ["stage"]:
        gc.disable()  # importing makes many objects and no garbage; collecting them costs a tenth of a second
        boundary = importlib.import_module("assay.runtime.stage_runner")
        boundary.leave(boundary.guarded(sys.argv[2:]))
    importlib.import_module("assay.cli.root").main()


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the current folder, or this file's own, would come before Python's modules
    if (place := os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) not in sys.path:  # noqa: PTH100, PTH120
        sys.path.append(place)  # started by its path, from a library that is not installed
    main()
