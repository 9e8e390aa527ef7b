"""A Git repository of ours that borrows the objects of the user's, and treats files as that one does.

Covers: object and ref format as in the user's repository and not as this machine has it for new ones; filters, line
ends and attributes, also those that no commit holds; none of the user's hooks. Not covered: what is checked out
(`scratch.scratch_repo`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from assay.runtime import files, git, git_env_vars

#: sections, and settings of [core], that decide what a checkout writes, and who commits
_KEPT = re.compile(
    r"(filter|lfs|user|author|committer)\..*|core\.(attributesfile|autocrlf|bigfilethreshold|checkroundtripencoding|"
    r"eol|excludesfile|filemode|ignorecase|longpaths|precomposeunicode|protecthfs|protectntfs|symlinks)"
)
#: what is nobody's wish for a repository that lives for minutes
_OURS = {
    "commit.gpgsign": "false",
    "core.fsmonitor": "false",
    "core.safecrlf": "false",
    "core.splitindex": "false",
    "core.untrackedcache": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "tag.gpgsign": "false",
}
#: files of a Git folder that attributes, ignored files and missing history are read from
_BESIDE = ("info/attributes", "info/exclude", "shallow")
#: keys of git-crypt, which it looks for in the Git folder
_KEYS = "git-crypt"


def create(home: Path, top: Path) -> None:
    """A repository without commits at `top`, an empty folder; `home` lies in the one whose objects it borrows."""
    common = Path(git.run(home, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    own = top / ".git"
    git.run(top, "init", "--quiet", "--template=", *_formats(home), environment=git_env_vars.of_our_own())
    files.write_text(own / "objects" / "info" / "alternates", f"{common / 'objects'}\n")
    for name in _BESIDE:
        if (common / name).is_file():
            (own / name).parent.mkdir(exist_ok=True)
            shutil.copy2(common / name, own / name)
    if (common / _KEYS).is_dir():
        (own / _KEYS).symlink_to(common / _KEYS, target_is_directory=True)
    settings = {**_settings(home), **_OURS, "core.hookspath": str(own / "hooks")}
    settings["lfs.storage"] = str(common / settings.get("lfs.storage", "lfs"))
    with (own / "config").open("a", encoding="utf-8", errors="surrogateescape") as config:
        config.writelines(_written(settings))


def _formats(home: Path) -> Iterator[str]:
    yield f"--object-format={git.run(home, 'rev-parse', '--show-object-format')}"
    refs = git.run(home, "rev-parse", "--show-ref-format", check=False)
    if not refs.startswith("-"):  # Git before 2.45 knows one format, and gives back what it does not know
        yield f"--ref-format={refs}"


def _settings(home: Path) -> dict[str, str]:
    """What holds for the user's repository, wherever it is written, a command line included: the last one wins."""
    listed = git.run(home, "config", "--list", "--null").split("\0")
    pairs = (entry.partition("\n") for entry in listed if entry)
    return {key: value if given else "true" for key, given, value in pairs if _KEPT.fullmatch(key)}


def _written(settings: Mapping[str, str]) -> Iterator[str]:
    """Lines of a configuration file of Git's."""
    for key, value in settings.items():
        section, _, rest = key.partition(".")
        below, _, name = rest.rpartition(".")
        yield f'[{section} "{_escaped(below)}"]\n' if below else f"[{section}]\n"
        yield f'\t{name} = "{_escaped(value)}"\n'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
