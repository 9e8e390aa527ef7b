"""DVC as a program that we start, in this very Python."""

from __future__ import annotations

import sys

#: `python -m dvc` would look for modules in the current folder first, and run whatever `queue.py` lies in the project.
#: Option -P, which forbids that, came with Python 3.11.
_START = "import sys; sys.path[:] = filter(None, sys.path); import dvc.cli; sys.exit(dvc.cli.main(sys.argv[1:]))"

#: how its command line begins
DVC = (sys.executable, "-c", _START)


def is_dvc(command: list[str]) -> bool:
    """Whether a process with this command line was started by `DVC`."""
    return command[1:3] == list(DVC[1:])
