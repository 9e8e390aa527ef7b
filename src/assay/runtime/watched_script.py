"""A user's script with the doctor's watch around it: `watched_script.py REPORT [WORD FIRST] [-m] SCRIPT ARGUMENT…`.

Started by its path and with Python's own modules only, so that the script finds the interpreter as it would without us:
its folder first on the path, its arguments, no torch yet. The watch begins when the script has imported torch, and its
report is written when the script has ended. The script's exit code is this process's. With the word `--stop`, the
script ends after its first steps, which are written into the file FIRST; with `--compare`, they are compared with those
that stand there.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import runpy
import sys
import traceback
from types import ModuleType
from typing import Any

#: words that say what is done with the first steps, and the module that notes them
STOP, COMPARE = "--stop", "--compare"
STEPS = "assay.doctor.first_steps"
OWN_FOLDER = sys.path[0]
#: folder in which the package `assay` lies
LIBRARY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120


class WatchAtTorch(importlib.abc.MetaPathFinder):
    """Begins the watch as soon as `torch` is imported: not earlier, because a script may set variables before."""

    def __init__(self, word: str = "", first: str = "") -> None:
        self.watch: Any = None
        self.word, self.first = word, first
        self.steps: Any = None

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            own = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                own(module)
                self.begin()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def begin(self) -> None:
        try:
            if LIBRARY not in sys.path:
                sys.path.append(LIBRARY)
            if self.word != STOP:
                self.watch = importlib.import_module("assay.doctor").watch()
                self.watch.__enter__()
            if self.word:
                self.steps = importlib.import_module(STEPS).FirstSteps(stop=self.word == STOP).begin()
        except Exception as error:  # the script runs all the same
            print(f"assay: the watch could not begin ({type(error).__name__}: {error})", file=sys.stderr)  # noqa: T201
            self.watch = None

    def report(self) -> str:
        if self.steps is not None:
            self.steps.end()
        if self.word == STOP and self.steps is not None:
            importlib.import_module(STEPS).written(self.steps.entries, self.first)
        if self.watch is None:
            return ""
        self.watch.__exit__(None, None, None)
        found = self.watch.report
        if self.steps is not None:
            module = importlib.import_module(STEPS)
            found = module.with_findings(found, module.compared(module.read(self.first), self.steps.entries))
        return str(found.json())


def run(arguments: list[str]) -> int:
    """Run the script or module; its exit code. An exception of its own is printed as Python prints it."""
    as_module = arguments[0] == "-m"
    name, sys.argv = arguments[as_module], arguments[as_module:]
    try:
        if as_module:
            sys.path.insert(0, os.getcwd())  # noqa: PTH109
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(os.path.abspath(name)))  # noqa: PTH100, PTH120
            runpy.run_path(name, run_name="__main__")
        return 0
    except SystemExit as leaving:
        if leaving.code is None or isinstance(leaving.code, int):
            return leaving.code or 0
        print(leaving.code, file=sys.stderr)  # noqa: T201
        return 1
    except BaseException as error:
        lines = error.__traceback__
        while lines is not None and lines.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>", runpy.__file__):
            lines = lines.tb_next
        traceback.print_exception(type(error), error, lines)
        return 130 if isinstance(error, KeyboardInterrupt) else 1


def main() -> None:
    answer, *arguments = sys.argv[1:]
    about = [arguments.pop(0), arguments.pop(0)] if arguments[0] in (STOP, COMPARE) else []
    if sys.path and sys.path[0] == OWN_FOLDER and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    finder = WatchAtTorch(*about)
    sys.meta_path.insert(0, finder)
    code = run(arguments)
    with open(answer, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(finder.report())
    sys.exit(code)


if __name__ == "__main__":
    main()
