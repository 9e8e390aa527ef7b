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
from collections.abc import Callable, Sequence
from pathlib import Path

from assay.core import sanitize_output
from assay.core.errors import REFUSED, AssayError, Exit
from assay.core.paths import ProjectPaths
from assay.runtime import (
    cache_dirs,
    dvc_lock,
    git_env_vars,
    parent_watch,
    standard_streams,
    sys_path,
    timing,
    utf8_mode,
)

#: what `assay stage NAME` runs. Those behind `verdict` are no stages of dvc.yaml: stages and commands start them
STAGES = {
    "context": "assay.stages.context",
    "prepare": "assay.stages.prepare",
    "split": "assay.stages.split",
    "baseline": "assay.stages.baseline",
    "train": "assay.stages.train",
    "evaluate": "assay.stages.evaluate",
    "verdict": "assay.stages.verdict",
    "floors": "assay.stages.floors",
    "warm_grid_cache": "assay.stages.warm_grid_cache",
    "warm_candidate_cache": "assay.stages.warm_candidate_cache",
    "short_training_curves": "assay.stages.short_training_curves",
    "measure": "assay.stages.measure",
    "trace": "assay.stages.trace",
    "check_run": "assay.stages.check_run",
    "examine_task": "assay.stages.examine_task",
    "show_examples": "assay.stages.show_examples",
    "debugging_ladder": "assay.stages.debugging_ladder",
    "record_net": "assay.stages.record_net",
    "plan_requests": "assay.stages.plan_requests",
    "answer_request": "assay.stages.answer_request",
    "serve_requests": "assay.stages.serve_requests",
    "measure_settings": "assay.stages.measure_settings",
    "replicate_rank": "assay.stages.replicate_rank",
}


def guarded(given: Sequence[str]) -> int:
    """Run the stage that the command line names, in the current folder; its exit code."""
    utf8_mode.enter()
    standard_streams.make_lenient()
    arguments = _before_comment(given)
    if not arguments or arguments[0] not in STAGES:
        _say(f"there is no stage {' '.join(arguments) or '(none given)'}; allowed: {', '.join(STAGES)}")
        return Exit.USAGE
    name, root = arguments[0], Path.cwd()
    parent_watch.hold()
    git_env_vars.forget_places()  # `dvc exp run` in a hook or an alias of Git
    timing.mark("interpreter")
    try:
        module = importlib.import_module(STAGES[name])
        gc.enable()
        timing.mark("imports")
        sys_path.activate(root)
        stage: Callable[[Path, Sequence[str]], None] = module.main
        stage(root, arguments[1:])
        return Exit.DONE
    except AssayError as error:
        _say(f"{name}: {error.sentence}{_lost(root, name)}")
        return error.exit_code
    except KeyboardInterrupt:
        _say(f"{name}: interrupted; next: run the same command again")
        return 130
    except OSError as error:
        if error.errno in REFUSED:
            hint = "free some space or make it writable, then run again"
            _say(f"{name}: {error.strerror} at {error.filename or root}; next: {hint}{_lost(root, name)}")
            return Exit.USAGE
        return _bug(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "assay", "tasks", "task"):
            return _bug(name)
        hint = f"install it for {sys.executable}"
        _say(f"{name}: there is no module {error.name}; next: {hint}{_lost(root, name)}")
        return Exit.USAGE
    except Exception:
        return _bug(name)
    finally:
        timing.write(name)


def _before_comment(given: Sequence[str]) -> list[str]:
    """What stands before a `#`: not every shell knows that a comment begins there."""
    return list(given[: given.index("#")] if "#" in given else given)


def _bug(name: str) -> int:
    traceback.print_exc()
    _say(f"{name}: this is a bug, please report the lines above")
    return Exit.BUG


def _lost(root: Path, stage: str) -> str:
    """How to bring back what DVC removed before it ran `stage`; "" where it did not."""
    layout = ProjectPaths(root)
    written = {
        "prepare": layout.prepared,
        "split": layout.split_report,
        "baseline": layout.record("baseline"),
        "train": layout.record("candidate"),
        "evaluate": layout.metrics,
    }.get(stage)
    if written is None or written.exists() or not layout.lock.exists():
        return ""
    if not dvc_lock.output_hash(layout.lock.read_bytes(), written.relative_to(root).as_posix()):
        return ""
    command = "git checkout HEAD -- results plots" if stage == "evaluate" else "dvc checkout"
    return f"; dvc removed this stage's last results before it ran, to bring them back: {command}"


def leave(code: int) -> None:
    """End the process at once: tearing down torch costs a quarter of a second and changes nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    cache_dirs.clear()
    os._exit(code)


def _say(sentence: str) -> None:
    sys.stderr.write(f"assay: {sanitize_output.line(sentence)}\n")
