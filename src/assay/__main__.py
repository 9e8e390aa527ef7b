"""The command `assay`, and `python -m assay`: the command line, after a start with the same hashes of text."""

from __future__ import annotations

import importlib
import os
import sys


def main() -> None:
    """Run the command line, which is imported only now: the process may have to start again before that."""
    if sys.flags.hash_randomization and not sys.flags.ignore_environment and os.name != "nt":
        os.environ["PYTHONHASHSEED"] = "0"  # src/stage.py says why
        os.execv(sys.executable, sys.orig_argv)
    importlib.import_module("assay.cli.root").main()


if __name__ == "__main__":
    main()
