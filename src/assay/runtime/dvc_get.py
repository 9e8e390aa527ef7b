"""`dvc get` in a process of its own that ends in a number: DVC's command line tells a full disk in words alone.

Not covered: who starts it (`runtime.dvc_fetch`).
"""

from __future__ import annotations

import logging
import sys

from dvc.repo import Repo

from assay.runtime import full_disk

#: exit code where DVC has it nowhere; any other but 0 is the system's number
MISSING = 1


def main(top: str, path: str, commit: str, out: str) -> int:
    """Bring `path` of the repository at `top` as of `commit` to `out`; why it is nowhere stands on standard output."""
    logging.getLogger("dvc").disabled = True  # it would say what it raises
    try:
        Repo.get(top, path=path, out=out, rev=commit)
    except Exception as error:  # DVC, its remotes and file systems raise what they like
        sys.stdout.write(str(error) or type(error).__name__)
        return full_disk.refusal(error) or MISSING
    return 0
