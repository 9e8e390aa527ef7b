"""submitit, or one sentence where it is not installed. Imported only where work goes to SLURM."""

from __future__ import annotations

from assay.core.errors import UsageError

try:
    from submitit import SlurmExecutor
    from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError
except ImportError as error:
    raise UsageError(
        "SLURM is driven by submitit, which is not installed", hint="pip install 'dvc-assay[slurm]'"
    ) from error

__all__ = ["DelayedSubmission", "FailedJobError", "FailedSubmissionError", "SlurmExecutor"]
