"""Charts of a page as templates of DVC's: `dvc plots show` and VS Code draw the same marks from the files that stages
write.

Covers: which columns of a file become what a chart is drawn from, one panel a revision on shared axes, what a pointer
shows. Colours of texts and axes are left to whoever draws, as VS Code has themes. The files themselves are package data
(`templates/plots`) and, the same, in `.dvc/plots` of this repository; a test holds them against this module. Not
covered: the marks (`page.chart_specs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from assay.report.page import chart_specs
from assay.report.page.chart_specs import BASELINE, CANDIDATE, COLOURS, DASHES, INK, LINE, Interval, Spec

#: what DVC fills in
DATA, TITLE, X, Y, Y_LABEL, ZOOM = (
    f"<DVC_METRIC_{name}>" for name in ("DATA", "TITLE", "X", "Y", "Y_LABEL", "ZOOM_AND_PAN")
)
#: panels beside each other
_COLUMNS = 2
#: cases that are drawn of a revision
_CASES = 30
#: file and column that a row comes from: DVC tells both in one, or each by itself
_SOURCE = "(datum['filename::field'] || '') + (datum.filename || '') + (datum.field || '')"
_REVISION = {"field": "rev", "type": "nominal", "title": None}


def templates() -> dict[str, str]:
    """Name of a file → its text."""
    made = {
        "cases": _cases(),
        "intervals": _intervals(),
        "reliability": _reliability(),
        "replicates": _replicates(),
        "seeds": _curves(),
    }
    return {f"{name}.json": json.dumps(spec, indent=1, ensure_ascii=False) + "\n" for name, spec in made.items()}


def _curves() -> Spec:
    """Of `plots/curves-baseline.csv` and `plots/curves-candidate.csv` together, a line a seed and their mean."""
    rows = [{"arm": arm, "part": part, "epoch": 1, "loss": 1.0} for arm in COLOURS for part in DASHES]
    spec = chart_specs.curves(rows, rows, None)
    mean: list[Spec] = [_mean("loss", "rev", "arm", "part", "epoch")]
    last = [*mean, _join("max", "epoch", "last", "rev", "arm", "part"), {"filter": "datum.epoch === datum.last"}]
    return _template(
        spec,
        [
            _made("source", _SOURCE),
            _made("arm", "test(/curves-baseline/, datum.source) ? 'baseline' : 'candidate'"),
            _made("part", "test(/train_loss/, datum.source) ? 'training' : 'validation'"),
            _number("loss", Y),
            _number("epoch", X),
            {"filter": "isValid(datum.loss)"},
        ],
        [[], mean, last],
        ["arm", "part", "epoch", "loss"],
        hover=1,
        zooms=True,
    )


def _replicates() -> Spec:
    """Of `results/replicates.csv`: each replicate, the means, floors."""
    values = {"candidate": [1.0], "baseline": [1.0]}
    floors: list[Spec] = [{"filter": "datum.arm === 'floor'"}, _made("name", "datum.strategy")]
    arms: Spec = {"filter": "datum.arm !== 'floor'"}
    rank = {
        "window": [{"op": "row_number", "as": "rank"}],
        "sort": [{"field": "value", "order": "ascending"}],
        "groupby": ["rev", "arm"],
    }
    return _template(
        chart_specs.replicates(values, {"floor": 0.0}, Y_LABEL),
        [_number("value", Y), {"filter": "isValid(datum.value)"}],
        [
            floors,
            floors,
            [arms, rank, _made("place", "[0, 2, -2, 1, -1][(datum.rank - 1) % 5]")],
            [arms, _mean("value", "rev", "arm")],
        ],
        ["arm", "strategy", "seed", "value"],
        hover=2,
    )


def _intervals() -> Spec:
    """Of `results/slices.csv`: the difference of each slice with its interval, and of each class in F1, without one."""
    spec = chart_specs.intervals([Interval("slice", 0.0, 0.0, 0.0)], 0.0, "difference to the baseline")
    for layer in spec["layer"]:
        x = layer["encoding"]["x"]
        x["scale"], x["axis"] = {"zero": True}, {"tickCount": 5, "format": "+.2~g"}
    return _template(
        spec,
        [
            {"filter": "datum.by === 'slice' || datum.metric === 'f1'"},
            _made("name", "datum.by === 'slice' ? datum.name : 'F1 of ' + datum.name"),
            _number("delta", "delta"),
            _number("low", "ci_low"),
            _number("high", "ci_high"),
            _made("series", "'candidate'"),
            {"filter": "isValid(datum.delta)"},
        ],
        [None, None, None, [{"filter": "isValid(datum.low)"}], []],
        ["name", "examples", "delta", "low", "high", "verdict"],
        hover=4,
    )


def _reliability() -> Spec:
    """Of `plots/reliability.csv`."""
    rows = [{"arm": arm, "confidence": 0.5, "accuracy": 0.5, "predictions": 1} for arm in COLOURS]
    return _template(
        chart_specs.reliability(rows),
        [_number("confidence", X), _number("accuracy", Y), _number("predictions", "count")],
        [None, [], []],
        ["arm", "confidence", "accuracy", "predictions"],
        hover=2,
        zooms=True,
    )


def _cases() -> Spec:
    """Of `results/cases.csv`: by how much the mean score of an example changed, the most changed first. A page shows
    cases as cards, so these marks are DVC's alone."""
    colour = {"condition": {"test": "datum.change < 0", "value": BASELINE}, "value": CANDIDATE}
    title = "mean score of the replicates, after less before"
    x = {"field": "change", "type": "quantitative", "title": title, "scale": {"domain": [-1, 1]}}
    y = {"field": "name", "type": "nominal", "sort": None, "title": "class: taken for before → after"}
    layer = {"data": {}, "mark": {"type": "bar"}, "encoding": {"x": x, "y": y, "color": colour}}
    spec = chart_specs.chart([layer], chart_specs.WIDTH, {"step": 18})
    first = {"window": [{"op": "row_number", "as": "rank"}], "groupby": ["rev"]}
    return _template(
        spec,
        [
            _number("change", X),
            _made("name", "datum.name || datum.id"),
            first,
            {"filter": f"datum.rank <= {_CASES}"},
        ],
        [[]],
        ["name", "id", "baseline", "candidate", "change"],
        hover=0,
    ) | {"resolve": {"scale": {"y": "independent"}}}


def _template(
    spec: Spec,
    common: Sequence[Spec],
    layers: Sequence[Sequence[Spec] | None],
    shown: Sequence[str],
    *,
    hover: int,
    zooms: bool = False,
) -> Spec:
    """`spec` over DVC's data: `common` transforms, then those of each layer; None for one with data of its own.

    The layer number `hover` says the columns `shown` to a pointer, and takes the wheel where the chart `zooms`.
    """
    drawn = []
    for place, (layer, transforms) in enumerate(zip(spec["layer"], layers, strict=True)):
        own = layer if transforms is None else {key: value for key, value in layer.items() if key != "data"}
        own = {**own, **({"transform": list(transforms)} if transforms else {})}
        if place == hover:
            tooltip = [{"field": name, "type": "nominal"} for name in shown]
            own["encoding"] = {**own["encoding"], "tooltip": tooltip}
            own |= {"params": [ZOOM]} if zooms else {}
        if own.get("data", {}).get("values") != []:
            drawn.append(own)
    size = {key: spec[key] for key in ("width", "height")}
    return {
        "$schema": spec["$schema"],
        "title": TITLE,
        "config": _config(spec["config"]),
        "data": {"values": DATA},
        "transform": list(common),
        "facet": _REVISION,
        "columns": _COLUMNS,
        "spec": {**size, "layer": [_themed(layer) for layer in drawn]},
    }


def _config(config: Mapping[str, Any]) -> Spec:
    """Without colours of texts and axes, and readable for those who do not see."""
    left = {
        key: _without_colours(value) for key, value in config.items() if key not in ("aria", "background", "padding")
    }
    return {key: value for key, value in left.items() if value != {}}


def _without_colours(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: inner for key, inner in value.items() if not key.lower().endswith("color")}


def _themed(value: Any) -> Any:
    """Marks in the ink of a light page are drawn in the grey of its lines, which is seen on a dark ground, too."""
    if isinstance(value, Mapping):
        return {key: _themed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_themed(inner) for inner in value]
    return LINE if value == INK else value


def _made(name: str, expression: str) -> Spec:
    return {"calculate": expression, "as": name}


def _number(name: str, column: str) -> Spec:
    """A column of a CSV file, whose values are text, as a number; null where it is empty."""
    return _made(name, f"toNumber(datum['{column}'])")


def _mean(column: str, *by: str) -> Spec:
    return {"aggregate": [{"op": "mean", "field": column, "as": column}], "groupby": list(by)}


def _join(op: str, column: str, name: str, *by: str) -> Spec:
    return {"joinaggregate": [{"op": op, "field": column, "as": name}], "groupby": list(by)}
