"""Around every stage: one boundary for errors, a lifeline to the parent, a quick way out.

Covers: which module a stage's name means, exit codes, sentences on stderr. A known error is one line; a bug
keeps its traceback, because DVC shows nothing else of a failed stage.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from assay.outside import git_environment, lifeline, places, seconds, standard_streams, utf8_mode
from assay.words import printable
from assay.words.errors import REFUSED, AssayError, Exit
from assay.words.layout import Layout


def guarded(stages: Mapping[str, str], arguments: Sequence[str], protocol: int) -> int:
    """Run the stage that the command line names, in the project that holds this file; its exit code."""
    utf8_mode.enter()
    standard_streams.make_lenient()
    if not arguments or arguments[0] not in stages:
        _say(f"there is no stage {' '.join(arguments) or '(none given)'}; allowed: {', '.join(stages)}")
        return Exit.USAGE
    name, root = arguments[0], Path(sys.argv[0]).resolve().parent.parent
    lifeline.hold()
    git_environment.forget_places()  # `dvc exp run` in a hook or an alias of Git
    seconds.mark("interpreter")
    try:
        module = importlib.import_module(stages[name])
        gc.enable()
        seconds.mark("imports")
        stage: Callable[[Path, Sequence[str], int], None] = module.main
        stage(root, arguments[1:], protocol)
        return Exit.DONE
    except AssayError as error:
        _say(f"{name}: {error.sentence}{_lost(root, name)}")
        return error.exit_code
    except KeyboardInterrupt:
        _say(f"{name}: interrupted; next: run the same command again")
        return 130
    except OSError as error:
        if error.errno in REFUSED:
            mend = "free some space or make it writable, then run again"
            _say(f"{name}: {error.strerror} at {error.filename or root}; next: {mend}{_lost(root, name)}")
            return Exit.USAGE
        return _bug(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "assay", "tasks"):
            return _bug(name)
        mend = "activate the environment that Assay is installed in, or put its bin folder first on PATH"
        _say(f"{name}: {sys.executable} has no module {error.name}; next: {mend}{_lost(root, name)}")
        return Exit.USAGE
    except Exception:
        return _bug(name)
    finally:
        seconds.write(name)


def _bug(name: str) -> int:
    traceback.print_exc()
    _say(f"{name}: this is a bug, please report the lines above")
    return Exit.BUG


def _lost(root: Path, stage: str) -> str:
    """How to bring back what DVC removed before it ran `stage`; "" where it did not."""
    layout = Layout(root)
    written = {
        "prepare": layout.prepared,
        "split": layout.split_report,
        "baseline": layout.record("baseline"),
        "train": layout.record("candidate"),
        "evaluate": layout.metrics,
    }.get(stage)
    if written is None or written.exists() or not layout.lock.exists():
        return ""
    if f"path: {written.relative_to(root).as_posix()}\n" not in layout.lock.read_text("utf-8", "replace"):
        return ""
    command = "git checkout HEAD -- results plots" if stage == "evaluate" else "dvc checkout"
    return f"; dvc removed this stage's last results before it ran, to bring them back: {command}"


def leave(code: int) -> None:
    """End the process at once: tearing down torch costs a quarter of a second and changes nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    places.clear()
    os._exit(code)


def _say(sentence: str) -> None:
    sys.stderr.write(f"assay: {printable.line(sentence)}\n")
