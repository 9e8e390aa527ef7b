"""Published numbers as lines under a verdict: reproduced or not, and what to look at where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assay.core import sanitize_output
from assay.report import comparison_text
from assay.stats.reference_value import ReferenceFinding


def lines(
    name: str, source: str, value: float, margin: float, metric: str, finding: ReferenceFinding | None
) -> Iterator[str]:
    """`reference paper 0.9530 (Smith 2020): reproduced within 0.005: +0.0012 [-0.0020, +0.0044] 95% CI`."""
    head = f"reference {name} {value:g} ({source})"
    if finding is None:
        yield sanitize_output.line(f"{head}: not computed: this run has no {metric}")
        return
    found, digits = finding.comparison, comparison_text.decimals(finding.comparison)
    yield sanitize_output.line(f"{head}: {_said(finding, margin)}: {comparison_text.difference(found, digits)}")


def _said(finding: ReferenceFinding, margin: float) -> str:
    if finding.word == "reproduced":
        return f"reproduced within {margin:g}"
    if finding.word != "not yet shown":
        return f"{finding.word} by more than {margin:g}"
    if finding.comparison.reason:
        return f"not yet shown within {margin:g} ({finding.comparison.reason})"
    if finding.more is None:
        return f"not yet shown within {margin:g} (this spread is too wide for it)"
    if finding.more:
        return f"not yet shown within {margin:g} ({finding.more} more)"
    return f"not yet shown within {margin:g} (this n would show equal means: they may differ)"


def what_to_look_at(
    parameters: Mapping[str, Any], examples: int | None, source_examples: int | None, left_out: int
) -> Iterator[str]:
    """Why numbers of one method differ most often, with what this run does; one line each."""
    split, train = _mapping(parameters, "split"), _mapping(parameters, "train")
    yield "look at, before at the model:"
    yield f"· filtering: which examples prepare() and the source leave out{_filtered(parameters, left_out)}"
    yield f"· sampling: train.sample {train.get('sample', 1.0):g}, {_split(split)}"
    here = "as many as the script takes" if examples is None else f"{examples:,} examples here"
    there = "the source's are not named" if source_examples is None else f"{source_examples:,} in the source"
    yield f"· size of the part that is predicted: {here}, {there}"
    yield "· duplicates, within parts and across them: assay data"
    yield "· negatives: all of them, or some drawn, and how, where a metric ranks against them"


def _filtered(parameters: Mapping[str, Any], left_out: int) -> str:
    data = _mapping(parameters, "data")
    given = ", ".join(f"{key} {value}" for key, value in data.items())
    out = f"; {left_out} training examples left out, as they are judged" if left_out else ""
    return (f" (data: {given})" if given else "") + out


def _split(split: Mapping[str, Any]) -> str:
    shares = [f"{name} {split[name]:g}" for name in ("validation", "test") if name in split]
    return f"split by {split.get('by', 'content')}" + (f", {', '.join(shares)}" if shares else "")


def _mapping(parameters: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = parameters.get(key)
    return found if isinstance(found, Mapping) else {}
