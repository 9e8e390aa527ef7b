"""Leases on names in a shared folder: who is at work on what. They expire, so that nobody waits for the dead.

A lease is a file `leases/NAME/NUMBER`; the largest number holds. Taking over an expired one makes the next number,
which exactly one of several can. Its holder touches it now and then; ages are told by the server's clock alone. A lease
is never needed for a right result, as results are addressed by what they are: it saves doing one thing twice.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from assay.runtime import process_identity, shared_files

#: seconds without a sign of life after which a lease is nobody's
SECONDS = 300.0
#: beats in that time
BEATS = 5


@dataclass(frozen=True)
class LeaseHolder:
    """Who holds a lease. `age`: seconds since the last sign of life."""

    host: str
    age: float
    request: str


class Lease:
    """A lease of ours; make one with `take`."""

    def __init__(self, path: Path, token: str) -> None:
        self.path = path
        self.token = token

    @property
    def held(self) -> bool:
        """Whether it is still ours: nobody took over, and numbers did not begin anew meanwhile."""
        return _newest(self.path.parent) == int(self.path.name) and _said(self.path).get("token") == self.token

    def beat(self) -> bool:
        """Give a sign of life; False where the lease was taken over, or removed."""
        return self.held and shared_files.touch(self.path)

    def release(self) -> None:
        """Let go. What is older than ours goes as well; what is newer belongs to who took over."""
        if _said(self.path).get("token") != self.token:
            return
        for name in shared_files.names(self.path.parent):
            if name.isdigit() and int(name) <= int(self.path.name):
                with suppress(OSError):
                    (self.path.parent / name).unlink()
        with suppress(OSError):
            self.path.parent.rmdir()


def take(folder: Path, seconds: float = SECONDS, request: str = "") -> Lease | None:
    """The lease in `folder`, the place of one name; None while somebody else holds it. Raises OSError."""
    newest = _newest(folder)
    if newest and holder(folder, seconds) is not None:
        return None
    token = uuid.uuid4().hex
    path = folder / str(newest + 1)
    said = {
        "token": token,
        "host": shared_files.host(),
        "seconds": seconds,
        "request": request,
        **process_identity.of(os.getpid()),
    }
    try:
        return Lease(path, token) if shared_files.create(path, json.dumps(said).encode()) else None
    except FileNotFoundError:  # its holder was done, and removed the folder
        return Lease(path, token) if shared_files.create(path, json.dumps(said).encode()) else None


def holder(folder: Path, seconds: float = SECONDS) -> LeaseHolder | None:
    """Who holds the lease in `folder`; None where nobody does, where it expired, or where its process ended here."""
    newest = _newest(folder)
    path = folder / str(newest)
    seen = shared_files.changed(path) if newest else None
    if seen is None:
        return None
    said = _said(path)
    age = shared_files.now(folder) - seen
    if age > _number(said.get("seconds"), seconds) or process_identity.has_ended(said):
        return None
    return LeaseHolder(str(said.get("host", "")), max(0.0, age), str(said.get("request", "")))


def _newest(folder: Path) -> int:
    return max((int(name) for name in shared_files.names(folder) if name.isdigit()), default=0)


def _said(path: Path) -> dict[str, object]:
    """What the lease's file says; nothing where it is damaged: its age alone counts then."""
    with suppress(ValueError):
        found = json.loads(shared_files.read(path) or b"{}")
        return found if isinstance(found, dict) else {}
    return {}


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else default
