"""The section `judge` of params.yaml: how a verdict is given. It is part of no strategy's identity."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from assay.core.params_section import Section


class Judge(Section, frozen=True, kw_only=True):
    #: how p and interval are computed; resampled where `vary` has split, and nowhere else
    test: Literal["welch", "student", "paired", "permutation", "anytime", "resampled"] = "welch"
    alpha: Annotated[float, Meta(gt=0, le=0.2)] = 0.05
    #: machine: every class under machine.classes trains as much of both arms, and differences are taken within classes
    blocks: Literal["machine"] | None = None
    looks: list[Annotated[int, Meta(ge=2)]] = []
    human: float | None = None
    floor: float | None = None  # a value to beat while nothing is accepted
    baseline_max_age: Annotated[float, Meta(gt=0)] | None = None
    max_cost: Annotated[float, Meta(gt=0)] | None = None
    #: published numbers to reproduce: name → value, margin, source, and where known metric and examples
    references: dict[str, Any] = {}
