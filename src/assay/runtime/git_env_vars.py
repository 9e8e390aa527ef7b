"""Variables of the environment that steer Git: which of them may reach which repository.

Covers: what Git hands to its hooks and aliases (a repository, an index, objects), which would send our commands into
another repository than the one they name; settings given on a command line, which are for the user's repository and
not for one that we make. Not covered: configuration files (`scratch.borrowed_objects`).
"""

from __future__ import annotations

import os
import subprocess

#: they point at a repository, an index or objects; with `SETTINGS` what `git rev-parse --local-env-vars` names
PLACES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
#: how the user wants his own repository to be read
SETTINGS = ("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE")
#: what a new repository would be made with, and a tree of the user's to take attributes from
_DEFAULTS = ("GIT_ATTR_SOURCE", "GIT_DEFAULT_HASH", "GIT_DEFAULT_REF_FORMAT", "GIT_TEMPLATE_DIR")
_NUMBERED = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_TRUSTED = "safe.directory"


def forget_places() -> None:
    """Let this process and its children find repositories by their folders alone. For every root of ours."""
    for name in PLACES:
        os.environ.pop(name, None)


def of_our_own() -> dict[str, str]:
    """The environment for processes in a repository that we made: without the user's settings.

    Stages there ask the user's repository, too: folders that a command line called safe stay so.
    """
    dropped = {*PLACES, *SETTINGS, *_DEFAULTS}
    kept = {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith(_NUMBERED)}
    return kept | _trust()


def _trust() -> dict[str, str]:
    """The folders that GIT_CONFIG_COUNT or `git -c` call safe, as containers do, and nothing else of these."""
    if not any(os.environ.get(name) for name in SETTINGS[:2]):
        return {}
    command = ["git", "config", "--show-scope", "--null", "--get-all", _TRUSTED]
    words = subprocess.run(command, capture_output=True, encoding="utf-8", errors="surrogateescape").stdout.split("\0")
    folders = [folder for scope, folder in zip(words[::2], words[1::2], strict=False) if scope == "command"]
    named = {f"GIT_CONFIG_KEY_{n}": _TRUSTED for n in range(len(folders))}
    given = {f"GIT_CONFIG_VALUE_{n}": folder for n, folder in enumerate(folders)}
    return {"GIT_CONFIG_COUNT": str(len(folders)), **named, **given} if folders else {}
