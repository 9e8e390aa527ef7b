"""Errors that a user can cause: one sentence each, and the exit code that a shell sees.

Covers: the sentence's form (what is wrong with the offending value, what is allowed, what to do next)
and the exit codes. Not covered: printing, which is the command line's and the stages' business.
"""

from __future__ import annotations

import errno
from enum import IntEnum

from assay.core import sanitize_output

#: what the system says no to for reasons outside of the program
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
#: those of them that are about the disk that is written to, and never about what is read
FULL = REFUSED[:4]

#: between the problem and what is allowed
_ALLOWED = "; allowed: "
#: characters of a problem that are shown beside the longest command
_LEAST = 160


class Exit(IntEnum):
    """Exit codes of `assay` and of its stages."""

    DONE = 0
    BUG = 1
    USAGE = 2
    INCOMPARABLE = 3
    PROVENANCE = 4
    GATE = 5


class AssayError(Exception):
    """A known error. `problem` names the offending value, `allowed` what would be right, `hint` the next step."""

    exit_code: Exit = Exit.USAGE

    def __init__(self, problem: str, *, allowed: str = "", hint: str = "") -> None:
        self.problem = problem
        self.allowed = allowed
        self.hint = hint
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """One printable line. What is long is cut in the problem and in what is allowed, the next command never."""
        hint = f"; next: {sanitize_output.command(self.hint)}" if self.hint else ""
        room = max(sanitize_output.LONGEST - len(hint), _LEAST)
        problem = sanitize_output.line(self.problem.rstrip("."))
        if not self.allowed:
            return sanitize_output.cut(problem, room) + hint
        allowed = sanitize_output.cut(
            sanitize_output.line(self.allowed), max(room - len(problem), room // 2) - len(_ALLOWED)
        )
        return sanitize_output.cut(problem, room - len(allowed) - len(_ALLOWED)) + _ALLOWED + allowed + hint


class UsageError(AssayError):
    """Wrong usage, parameters or data."""


class IncomparableError(AssayError):
    """Two numbers that may not be subtracted, or a measurement that is stale."""

    exit_code = Exit.INCOMPARABLE


class ProvenanceError(AssayError):
    """Code that ran, or would run, is not the code that Git and DVC know."""

    exit_code = Exit.PROVENANCE


class GateError(AssayError):
    """A `--require` gate was not met."""

    exit_code = Exit.GATE
