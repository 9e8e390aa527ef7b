"""Slices in words: what stands beside the verdict, and what cannot be said of a slice."""

from __future__ import annotations

from collections.abc import Sequence

from assay.metrics.slice_scores import SliceFinding


def said(slices: Sequence[SliceFinding]) -> str:
    """Slices with a significant loss: `small -0.03, night -0.05`; "" where there is none."""
    lost = [one for one in slices if one.lost and one.comparison is not None]
    return ", ".join(f"{one.name} {one.comparison.delta:+.2g}" for one in lost if one.comparison is not None)


def remarks(slices: Sequence[SliceFinding]) -> list[str]:
    """One line on how slices were judged, and one for each where the metric cannot be had."""
    tested = [one for one in slices if one.comparison is not None]
    if not slices:
        return []
    lost = sum(one.lost for one in slices)
    lines = [f"{len(tested)} slices, each with Holm's correction: {lost or 'none'} with a significant loss"]
    return lines + [f"slice {one.name}: {one.reason}" for one in slices if one.comparison is None]
