"""DVC in a repository: the files that `dvc init` makes, and what its configuration says of Hydra.

`dvc init` runs in a folder of ours, so that its files take the same way into the repository as all others: shown by
`--dry-run`, put back when a hook refuses, staged by nobody.
"""

from __future__ import annotations

import configparser
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.runtime import git_env_vars
from assay.runtime.dvc_cli import DVC


@dataclass(frozen=True)
class Hydra:
    """Where Hydra finds what it composes params.yaml from."""

    folder: str
    config: str  # its first file, without the suffix


def initial_files(*, below_top: bool) -> dict[str, bytes]:
    """Path → content of what `dvc init` makes in a folder; `below_top` where that is not the top of the repository."""
    with tempfile.TemporaryDirectory() as place:
        project = Path(place, "project") if below_top else Path(place)
        project.mkdir(exist_ok=True)
        environment = {**git_env_vars.of_our_own(), "DVC_NO_ANALYTICS": "1"}
        subprocess.run(["git", "init", "--quiet", place], env=environment, capture_output=True, check=True)
        command = [*DVC, "init", "--quiet", *(["--subdir"] if below_top else [])]
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, encoding="utf-8", errors="replace"
        )
        if done.returncode:
            said = " ".join((done.stderr.strip() or "no message").split())
            raise UsageError(f"dvc init failed: {said}", hint="dvc init")
        names = (".dvc/.gitignore", ".dvc/config", ".dvcignore")
        return {name: (project / name).read_bytes() for name in names if (project / name).is_file()}


def hydra(root: Path) -> Hydra | None:
    """Hydra's place in the DVC project at `root`; None where it is not enabled."""
    found = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    for name in ("config", "config.local"):
        try:
            found.read(root / ".dvc" / name, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
    if not found.has_section("hydra") or found.get("hydra", "enabled", fallback="false").lower() != "true":
        return None
    folder = os.path.normpath(found.get("hydra", "config_dir", fallback="conf"))
    return Hydra(folder, found.get("hydra", "config_name", fallback="config"))
