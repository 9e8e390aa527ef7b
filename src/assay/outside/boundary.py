"""Around every stage: one boundary for errors, a lifeline to the parent, a quick way out.

Covers: which module a stage's name means, exit codes, sentences on stderr. A known error is one line; a bug
keeps its traceback, because DVC shows nothing else of a failed stage.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from assay.outside import lifeline
from assay.words.errors import AssayError, Exit

_LOST = "dvc removes a stage's outputs before it runs it: `dvc checkout` brings the last ones back"


def guarded(stages: Mapping[str, str], arguments: Sequence[str], protocol: int) -> int:
    """Run the stage that the command line names, in the project that holds this file; its exit code."""
    if not arguments or arguments[0] not in stages:
        _say(f"there is no stage {' '.join(arguments) or '(none given)'}; allowed: {', '.join(stages)}")
        return Exit.USAGE
    name, root = arguments[0], Path(sys.argv[0]).resolve().parent.parent
    lifeline.hold()
    try:
        module = importlib.import_module(stages[name])
        gc.enable()
        stage: Callable[[Path, Sequence[str], int], None] = module.main
        stage(root, arguments[1:], protocol)
        return Exit.DONE
    except AssayError as error:
        _say(f"{name}: {error.sentence}")
        return error.exit_code
    except KeyboardInterrupt:
        _say(f"{name}: interrupted; next: run the same command again")
        return 130
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            _say(
                f"{name}: {error.strerror} at {error.filename or root}; next: free some space, then run again; {_LOST}"
            )
            return Exit.USAGE
        traceback.print_exc()
        return Exit.BUG
    except Exception:
        traceback.print_exc()
        _say(f"{name}: this is a bug, please report the lines above")
        return Exit.BUG


def leave(code: int) -> None:
    """End the process at once: tearing down torch costs a quarter of a second and changes nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _say(sentence: str) -> None:
    sys.stderr.write(f"assay: {sentence}\n")
