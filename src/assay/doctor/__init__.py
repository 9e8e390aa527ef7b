"""Checks of training code before it costs GPU hours: `from assay.doctor import examine, watch`.

Covers: contracts that can be proved from a model, a loss, an optimizer and a few examples (`examine`), and what only
the loop shows (`watch`). Not covered: whether an idea is any good. What cannot be proved is `not run` or `not
applicable`, with the reason, and never an error.
"""

from assay.doctor.examine import examine
from assay.doctor.findings import Finding, Report
from assay.doctor.watch import watch

__all__ = ["Finding", "Report", "examine", "watch"]
