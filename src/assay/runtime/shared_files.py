"""Files in a folder that several machines see, on NFS for example: written durably, read with doubt.

Covers: which folder that is, a temporary name, fsync, rename and reading back, the time as the folder's own server has
it, so that clocks of machines may differ. Nothing is ever appended, and no lock of the system is used: both have failed
on network disks. Not covered: what the files mean (`core.work_records`).
"""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

from assay.core import sanitize_output
from assay.core.errors import UsageError
from assay.runtime import files, git

#: names the shared folder; a variable of this name wins over Git's configuration
VARIABLE = "ASSAY_SHARED"
SETTING = "assay.shared"
#: length of a host's name in names of files
_LONGEST = 60


def configured(home: Path) -> Path | None:
    """The shared folder of the repository at `home`, None where there is none.

    The variable ASSAY_SHARED, or `git config assay.shared`, which no clone brings along.
    """
    given = os.environ.get(VARIABLE) or git.run(home, "config", "--get", SETTING, check=False)
    return Path(given).expanduser() if given else None


def host() -> str:
    """This machine's name, with letters that are safe in a file's name and in a sentence.

    In a job of SLURM that of the node, by which its users know the machine.
    """
    given = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    name = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-.") else "_" for sign in given)
    return name.strip(".")[:_LONGEST] or "unnamed"


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path` so that it is there whole, also after a crash of this machine, or not at all.

    Temporary name, fsync, rename, fsync of the folder, read back. Raises OSError, also where the read gives other
    bytes.
    """
    with files.replacing(path) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    _settle(path.parent)
    _read_back(path, content)


def create(path: Path, content: bytes) -> bool:
    """As `write`, but False where somebody has put a file there before: exactly one of several succeeds.

    A hard link, which fails where its name is taken, on every file system that has links; else an exclusive open.
    """
    aside = path.with_name(f".{uuid.uuid4().hex}")
    write(aside, content)
    try:
        os.link(aside, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        try:
            with path.open("xb") as stream:
                stream.write(content)
        except FileExistsError:
            return False
    finally:
        aside.unlink(missing_ok=True)
    _settle(path.parent)
    return True


def read(path: Path) -> bytes | None:
    """The file's content; None where there is none that can be read, or its machine has just gone."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def now(folder: Path) -> float:
    """Seconds as the server of `folder` has them: the time that it gives to a file written this moment."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock.") as stream:
        stream.write(b".")
        stream.flush()
        return os.fstat(stream.fileno()).st_mtime


def changed(path: Path) -> float | None:
    """When the file was last touched, as its server has it: opened first, since network disks remember old answers."""
    try:
        with path.open("rb") as stream:
            return os.fstat(stream.fileno()).st_mtime
    except OSError:
        return None


def touch(path: Path) -> bool:
    """Set the file's time to now, the server's; False where it is gone."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def names(folder: Path) -> list[str]:
    """Names in `folder`, without temporary ones; none where it cannot be read."""
    with suppress(OSError):
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return []


def private(folder: Path) -> Path:
    """`folder`, for this user alone. Raises UsageError where somebody else owns it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_uid != os.getuid():
        raise UsageError(f"{folder} belongs to another user", hint=f"ls -ld {sanitize_output.line(str(folder.parent))}")
    folder.chmod(0o700)
    return folder


def checked(folder: Path) -> Path:
    """`folder`, made where it is not there. Raises UsageError when nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        now(folder)
    except OSError as error:
        raise UsageError(
            f"the shared folder {folder} cannot be written ({error.strerror})",
            allowed="a folder that this machine and the workers can write",
            hint="git config assay.shared /path/on/every/machine",
        ) from error
    return folder.resolve()


def _settle(folder: Path) -> None:
    """Have the folder itself on disk; systems that cannot do that for a folder do it by themselves."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read_back(path: Path, content: bytes) -> None:
    if path.read_bytes() != content:
        raise OSError(errno.EIO, "the disk gave back other bytes than were written", str(path))
