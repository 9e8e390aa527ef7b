"""DVC with its imports done: each command runs in a fork of its own, a second of imports sooner.

Everything else is as in `python -m dvc`: DVC's own entry point, real repositories, real child processes. A process
serves one HOME, since libgit2 reads that once. Tests that signal DVC, or need two of it at once, start it themselves.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

#: what `dvc exp run` and `dvc repro` import late
LATE = (
    "dvc.commands.experiments.run",
    "dvc.repo",
    "dvc.repo.experiments.queue.celery",
    "dvc.repo.experiments.queue.workspace",
    "dvc.repo.experiments.executor.local",
    "dvc.repo.plots",
    "dvc.repo.reproduce",
    "dvc.stage.run",
    "dvc.utils.hydra",
    "hydra.core.override_parser.overrides_parser",
    "dvc_data.hashfile.build",
    "dvc_data.index",
    "networkx",
    "pygit2",
    "scmrepo.git.backend.dulwich",
)
_serving: dict[str, subprocess.Popen[str]] = {}


def dvc(arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`dvc ARGUMENTS` in `cwd` with the environment `env`, run to its end."""
    server = _serving.get(env["HOME"]) or _serve(env)
    assert server.stdin and server.stdout
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        asked = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "out": str(out), "err": str(err)}
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        said = out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
    return subprocess.CompletedProcess(["dvc", *arguments], code, *said)


def _serve(env: Mapping[str, str]) -> subprocess.Popen[str]:
    # -E: what one command sets in PYTHONPATH is no business of the next
    command = [sys.executable, "-E", "-B", str(Path(__file__).resolve())]
    started = subprocess.Popen(command, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(started.communicate)  # the end of its input is its end
    _serving[env["HOME"]] = started
    return started


def _main() -> None:
    for module in ("dvc.cli", *LATE):
        importlib.import_module(module)
    gc.freeze()  # forks share these pages for longer
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        process = os.fork()
        if not process:
            answers.close()
            _run(**json.loads(line))
        _process, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _run(arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> NoReturn:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    tempfile.tempdir = None  # follows TMPDIR again
    for number, path, way in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        stream = os.open(path, way | os.O_CREAT, 0o600)
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = ["dvc", *arguments]
    sys.exit(importlib.import_module("dvc.cli").main(arguments))


if __name__ == "__main__":
    _main()
