"""Vega-Lite specifications of a page's charts.

Covers: intervals on one scale, replicates of both arms, learning curves, reliability. Colours are those of the light
scheme; the page's style sheet has another for each in the dark (`templates/report/page.css`). Each arm has a shape as
well as a colour. Not covered: drawing (`page.chart_svg`), the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Spec = dict[str, Any]

#: against white: 15, 4.6, 5.2 and 3.9 to 1; the style sheet knows them by their values
INK, LINE = "#1b1f24", "#6b7280"
CANDIDATE, BASELINE = "#0072b2", "#d55e00"
COLOURS = {"candidate": CANDIDATE, "baseline": BASELINE}
SHAPES = {"candidate": "circle", "baseline": "square"}
DASHES = {"validation": [1, 0], "training": [5, 3]}
WIDTH = 320  # small enough that a phone shows all of a chart
LABEL = 150  # pixels of a name beside a row
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
_AXIS = {
    "grid": False,
    "labelColor": INK,
    "titleColor": INK,
    "tickColor": LINE,
    "domainColor": LINE,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "labelLimit": LABEL,
    "labelFlush": False,  # a number stands below its tick
}
_CONFIG: Spec = {
    "aria": False,
    "background": None,
    "padding": {"left": 24, "right": 20, "top": 5, "bottom": 5},  # readers' fonts are wider than the drawing program's
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {"labelColor": INK, "labelFontSize": 12, "orient": "top", "title": None, "symbolSize": 90, "offset": 6},
    "text": {"color": INK, "fontSize": 12},
}


class Interval(NamedTuple):
    """One row of an interval chart, in the metric's units. Ends are None where there is no interval."""

    name: str
    delta: float
    low: float | None
    high: float | None
    series: str = "candidate"  # names colour and shape


def finite(ends: tuple[float, float]) -> tuple[float | None, float | None]:
    """Ends of an interval as a row has them: none where one is infinite or NaN."""
    return ends if all(map(math.isfinite, ends)) else (None, None)


def chart(layers: Sequence[Spec], width: int, height: int | Spec) -> Spec:
    """A specification of `layers` over each other."""
    return {"$schema": _SCHEMA, "config": _CONFIG, "width": width, "height": height, "layer": list(layers)}


def _values(rows: Sequence[Mapping[str, Any]]) -> Spec:
    return {"values": [dict(row) for row in rows]}


def intervals(rows: Sequence[Interval], min_effect: float, title: str) -> Spec:
    """Differences with their intervals, one row each, on a scale that holds 0 and ±min_effect."""
    data = [row._asdict() for row in rows]
    ends = [end for row in rows for end in (row.low, row.high, row.delta) if end is not None]
    reach = max([abs(end) for end in ends] + [min_effect, 1e-12])
    low, high = min([*ends, -min_effect, 0.0]) - 0.05 * reach, max([*ends, min_effect, 0.0]) + 0.05 * reach
    x = {"type": "quantitative", "title": title, "scale": {"domain": [low, high], "nice": False, "zero": False}}
    x["axis"] = {"tickCount": 4, "format": _form(high - low)}
    y = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": {"domain": False, "ticks": False}}
    colour = {"field": "series", "type": "nominal", "legend": None, "scale": _arms(COLOURS)}
    shape = {"field": "series", "type": "nominal", "legend": None, "scale": _arms(SHAPES)}
    marks = [{"at": 0.0, "said": "0"}]
    limits = [{"at": -min_effect, "said": "−m"}, {"at": min_effect, "said": "+m"}] if min_effect > 0 else []
    at = {**x, "field": "at"}
    top = {"y": {"value": -4}, "text": {"field": "said"}, "x": at}
    return chart(
        [
            {"data": _values(marks), "mark": {"type": "rule", "color": INK}, "encoding": {"x": at}},
            {
                "data": _values(limits),
                "mark": {"type": "rule", "color": LINE, "strokeDash": [4, 3]},
                "encoding": {"x": at},
            },
            {
                "data": _values([*marks, *limits]),
                "mark": {"type": "text", "baseline": "bottom"},
                "encoding": top,
            },
            {
                "data": _values([row for row in data if row["low"] is not None]),
                "mark": {"type": "rule", "strokeWidth": 3},
                "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "color": colour},
            },
            {
                "data": _values(data),
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {"x": {**x, "field": "delta"}, "y": y, "color": colour, "shape": shape},
            },
        ],
        WIDTH,
        {"step": 28},
    )


def _form(span: float) -> str:
    """Digits of a tick's label, as d3 writes them: two figures of the scale's length."""
    digits = max(0, 1 - math.floor(math.log10(span))) if span > 0 else 2
    return f"+.{digits}f" if digits < 8 and span < 1e6 else "+.2e"


def _arms(named: Mapping[str, Any]) -> Spec:
    return {"domain": list(named), "range": list(named.values())}


def _shown(rows: Sequence[Mapping[str, Any]]) -> tuple[Spec, Spec]:
    """Colours and shapes of the arms that are there, which alone a legend names."""
    there = {row["arm"] for row in rows}
    colours, shapes = ({arm: look for arm, look in looks.items() if arm in there} for looks in (COLOURS, SHAPES))
    return _arms(colours), _arms(shapes)


def replicates(values: Mapping[str, Sequence[float]], floors: Mapping[str, float], title: str) -> Spec:
    """Each replicate of each arm as a point, the mean as a tick; floors as dashed lines."""
    points = [
        {"arm": arm, "value": value, "place": _place(rank)}
        for arm, found in values.items()
        for rank, value in enumerate(sorted(found))
    ]
    means = [{"arm": arm, "value": sum(found) / len(found)} for arm, found in values.items() if found]
    x = {"type": "quantitative", "title": title, "scale": {"zero": False, "padding": 12}, "axis": {"tickCount": 5}}
    y = {"field": "arm", "type": "nominal", "sort": list(values), "title": None, "axis": {"domain": False}}
    colour = {"field": "arm", "type": "nominal", "legend": None, "scale": _arms(COLOURS)}
    shape = {"field": "arm", "type": "nominal", "legend": None, "scale": _arms(SHAPES)}
    lines = [{"name": name, "value": value} for name, value in floors.items()]
    return chart(
        [
            {
                "data": _values(lines),
                "mark": {"type": "rule", "color": LINE, "strokeDash": [4, 3]},
                "encoding": {"x": {**x, "field": "value"}},
            },
            {
                "data": _values(lines),
                "mark": {"type": "text", "baseline": "bottom", "align": "center"},
                "encoding": {"x": {**x, "field": "value"}, "y": {"value": -4}, "text": {"field": "name"}},
            },
            {
                "data": _values(points),
                "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
                "encoding": {
                    "x": {**x, "field": "value"},
                    "y": y,
                    "yOffset": {"field": "place", "type": "quantitative", "scale": {"domain": [-3, 3]}},
                    "color": colour,
                    "shape": shape,
                },
            },
            {
                "data": _values(means),
                "mark": {"type": "tick", "thickness": 3, "size": 34, "color": INK},
                "encoding": {"x": {**x, "field": "value"}, "y": y},
            },
        ],
        WIDTH,
        {"step": 52},
    )


def _place(rank: int) -> int:
    """Spreads neighbours over the height of a row, the same way each time."""
    return (0, 2, -2, 1, -1)[rank % 5]


def curves(points: Sequence[Mapping[str, Any]], means: Sequence[Mapping[str, Any]], top: float | None) -> Spec:
    """Losses by epoch: thin lines of single seeds, thick ones of their mean; training dashed, validation whole.

    Rows have arm, part, seed (of points), epoch, loss, which is None in a gap. `top`: where the scale is cut.
    """
    scale: Spec = {"type": "log", "nice": False} if logarithmic(points) else {"zero": False}
    scale |= {} if top is None else {"domainMax": top}
    x = {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": {"tickMinStep": 1, "tickCount": 6}}
    y = {"field": "loss", "type": "quantitative", "title": "loss", "scale": scale}
    colours, shapes = _shown(points)
    legend = {"field": "arm", "type": "nominal", "scale": colours}
    shape = {"field": "arm", "type": "nominal", "scale": shapes}
    dash = {"field": "part", "type": "nominal", "scale": _arms(DASHES)}
    clip = top is not None
    marked = [row for row in means if row.get("marked") and row["loss"] is not None]
    return chart(
        [
            {
                "data": _values(points),
                "mark": {"type": "line", "strokeWidth": 0.7, "clip": clip},
                "encoding": {"x": x, "y": y, "color": legend, "strokeDash": dash, "detail": {"field": "seed"}},
            },
            {
                "data": _values(means),
                "mark": {"type": "line", "strokeWidth": 2.6, "clip": clip},
                "encoding": {"x": x, "y": y, "color": legend, "strokeDash": dash},
            },
            {
                "data": _values(marked),
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "clip": clip},
                "encoding": {"x": x, "y": y, "color": legend, "shape": shape},
            },
        ],
        WIDTH,
        220,
    )


def logarithmic(points: Sequence[Mapping[str, Any]]) -> bool:
    """Whether losses are drawn by their orders of magnitude: all above 0, and the largest ten times the smallest."""
    losses = [row["loss"] for row in points if row["loss"] is not None]
    return bool(losses) and min(losses) > 0 and max(losses) > 10 * min(losses)


def reliability(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """Accuracy against confidence, a line and a shape an arm; the diagonal is what a calibrated model has."""
    x = {"field": "confidence", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"tickCount": 5}}
    y = {"field": "accuracy", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"tickCount": 5}}
    colours, shapes = _shown(rows)
    colour = {"field": "arm", "type": "nominal", "scale": colours}
    shape = {"field": "arm", "type": "nominal", "scale": shapes}
    diagonal = _values([{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}])
    dashed = {"type": "line", "color": LINE, "strokeDash": [4, 3]}
    size = {
        "field": "predictions",
        "type": "quantitative",
        "legend": None,
        "scale": {"type": "sqrt", "range": [15, 110]},
    }
    return chart(
        [
            {"data": diagonal, "mark": dashed, "encoding": {"x": x, "y": y}},
            {"data": _values(rows), "mark": {"type": "line"}, "encoding": {"x": x, "y": y, "color": colour}},
            {
                "data": _values(rows),
                "mark": {"type": "point", "filled": True, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": colour, "shape": shape, "size": size},
            },
        ],
        WIDTH,
        280,
    )
