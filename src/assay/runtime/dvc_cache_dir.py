"""Where DVC's cache lies, as its configuration files say: read as DVC reads them, without starting it for 0.4 s."""

from __future__ import annotations

from pathlib import Path

from dvc.config import Config, ConfigError

from assay.core.errors import UsageError

#: copies only where the file system knows no other way
_LINKS = ["reflink", "hardlink", "symlink", "copy"]


def folder(root: Path) -> Path:
    """DVC's cache for the project at `root`. Raises UsageError when DVC does not know it."""
    settings = _settings(root)
    try:
        return Path(Config(str(settings))["cache"].get("dir") or settings / "cache")
    except ConfigError as error:
        raise UsageError(f"dvc does not know its cache: {error}", hint="dvc doctor") from error


def share(home: Path, root: Path) -> None:
    """Let the project at `root` keep its files in the cache of `home`, and have them as links to it."""
    cache = folder(home)
    with Config(str(_settings(root))).edit("local") as local:
        local["cache"] |= {"dir": str(cache), "type": _LINKS}
        local["core"] |= {"autostage": False, "check_update": False}


def _settings(root: Path) -> Path:
    """The .dvc folder that DVC finds from `root`."""
    found = (place / ".dvc" for place in (root, *root.parents) if (place / ".dvc").is_dir())
    return next(found, root / ".dvc")
