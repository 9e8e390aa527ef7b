"""Checks of training code before it costs GPU hours: `from assay.doctor import examine`.

Covers: contracts that can be proved from a model, a loss, an optimizer and a few examples. Not covered: whether an
idea is any good. What cannot be proved is `not run` or `not applicable`, with the reason, and never an error.
"""

from assay.doctor.examine import examine
from assay.doctor.findings import Finding, Report

__all__ = ["Finding", "Report", "examine"]
