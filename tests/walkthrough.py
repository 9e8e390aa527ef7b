"""The README's day, walked line by line: every command in its order, in a fresh clone, under another HOME.

    python tests/walkthrough.py             # compare what the commands print with what the README shows
    python tests/walkthrough.py --update    # write what they print into the README instead, and renew dvc.lock

The clone is of HEAD, from a bare repository of its own, so that pushes stay there; the README is the one of the work
tree. A block before or after the day may show a command of the day again. Takes minutes, as ten seeds train several
times; so it is no part of the tests (`tests/support/console.py` says what counts as the same).
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from support import console
from support.project import CHECKOUT, Project, environment

README = CHECKOUT / "README.md"
LOCK = CHECKOUT / "dvc.lock"
DAY = "A day with it"
FIRST = "strategy/mlp"


def main(arguments: Sequence[str]) -> int:
    """0 where the run says what the README shows, or after an update; 1 else."""
    if arguments not in ([], ["--update"]):
        print(f"usage: {Path(__file__).name} [--update]", file=sys.stderr)
        return 2
    page = README.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="day-") as folder:
        project = clone(Path(folder))
        said = walk(project, [one.command for one in console.commands(page) if one.section == DAY])
        lock = project.git("show", f"{FIRST}:dvc.lock") + "\n"
    if arguments:
        README.write_text(console.updated(page, said), encoding="utf-8")
        LOCK.write_text(lock, encoding="utf-8")
        return 0
    found = list(differences(page, said))
    print("\n\n".join(found) or f"all {len(said)} commands print what README.md shows")
    return 1 if found else 0


def clone(where: Path) -> Project:
    """A clone of HEAD with a Git identity, and an empty home."""
    if subprocess.run(["git", "-C", CHECKOUT, "diff", "--quiet", "HEAD", "--", "src"], check=False).returncode:
        print("edits in src are not committed: the clone has HEAD", file=sys.stderr)
    origin, project = where / "origin.git", Project(where / "project", where / "home")
    project.home.mkdir()
    project.run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin), cwd=where)
    taken = ("--quiet", "--no-tags", "--update-shallow", str(CHECKOUT), "+HEAD:refs/heads/main")
    subprocess.run(["git", f"--git-dir={origin}", "fetch", *taken], check=True)  # as who may read this checkout
    project.run("git", "clone", "--quiet", str(origin), str(project.root), cwd=where)
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@localhost")
    return project


def walk(project: Project, commands: Sequence[str]) -> dict[str, list[str]]:
    """What each command prints, both streams as they come. Ends the walk where a command fails."""
    said = {}
    for command in commands:
        begun = time.monotonic()
        done = subprocess.run(
            shlex.split(command),
            cwd=project.root,
            env=environment(project.home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        print(f"{time.monotonic() - begun:6.1f} s  $ {command}", flush=True)
        if done.returncode:
            sys.exit(f"ended with {done.returncode}:\n{done.stdout}")
        said[command] = done.stdout.splitlines()
    return said


def differences(page: str, said: dict[str, list[str]]) -> Iterator[str]:
    """One text for each command that says something else than the page shows."""
    for shown in console.commands(page):
        place = f"README.md:{shown.first}: $ {shown.command}"
        if shown.command not in said:
            yield f"{place}\nis no command of the day"
        elif warnings := [line for line in said[shown.command] if line.startswith("WARNING")]:
            yield "\n".join((place, *warnings))
        elif what := console.difference(shown.lines, said[shown.command]):
            yield f"{place}\n{what}\nall of it:\n" + "\n".join(f"    {line}" for line in said[shown.command])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
