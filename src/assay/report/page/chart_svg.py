"""Charts as SVG that needs neither script nor network: drawn by vl-convert, then made fit for a page.

Covers: names for who cannot see, ids that no other chart has, colours that the page's style sheet can change, numbers
with one decimal, elements and attributes that are known to draw and nothing else. Not covered: what is drawn
(`page.chart_specs`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree as Xml

from assay.core import sanitize_output
from assay.report.page.vl_convert_package import vl_convert

#: counts changes of what this module makes of a chart: an older one in a cache is another
REVISION = 2
#: of Vega-Lite, which vl-convert brings in several
VEGA_LITE = "5.20"
_SPACE = "http://www.w3.org/2000/svg"
_DRAWS = frozenset({"svg", "g", "path", "line", "rect", "circle", "text", "tspan", "defs", "clipPath"})
_KEPT = frozenset(
    {
        *("d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "cx", "cy", "r", "width", "height", "viewBox"),
        *("transform", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity"),
        *("stroke-miterlimit", "stroke-linecap", "stroke-linejoin", "opacity", "id", "clip-path"),
        *("text-anchor", "font-family", "font-size", "font-weight", "font-style"),
    }
)
_LONG = re.compile(r"-?\d+\.\d{2,}")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")

Store = Callable[[str, Callable[[], str]], str]


def available() -> bool:
    """Whether charts can be drawn here."""
    return vl_convert is not None


def svg(spec: Mapping[str, Any], name: str, title: str, description: str, store: Store) -> str:
    """The chart as one `<svg>` element. `name` is its own in the page; `store` remembers what was drawn by a key."""
    text = json.dumps(_plain(spec), sort_keys=True)
    key = f"{REVISION} {VEGA_LITE} {getattr(vl_convert, '__version__', '')} {text}"
    return _named(store(key, lambda: _drawn(text)), name, title, description)


def _plain(value: Any) -> Any:
    """Texts on one printable line: XML has no place for control characters."""
    if isinstance(value, str):
        return sanitize_output.line(value)
    if isinstance(value, Mapping):
        return {sanitize_output.line(str(key)): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _drawn(text: str) -> str:
    assert vl_convert is not None  # `available` was asked
    root = Xml.fromstring(vl_convert.vegalite_to_svg(text, vl_version=VEGA_LITE))
    _clean(root)
    _number_ids(root)
    return Xml.tostring(root, encoding="unicode")


def _number_ids(root: Xml.Element) -> None:
    """Ids by their order in this chart: Vega counts on through all that one process draws."""
    known = {element.attrib["id"]: f"k{place}" for place, element in enumerate(_with_ids(root), start=1)}
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", known[element.attrib["id"]])
        if clipped := element.get("clip-path"):
            element.set("clip-path", _REFERENCE.sub(lambda found: f"url(#{known.get(found[1], 'none')})", clipped))


def _with_ids(root: Xml.Element) -> list[Xml.Element]:
    return [element for element in root.iter() if "id" in element.attrib]


def _clean(element: Xml.Element) -> None:
    for child in list(element):
        if _tag(child) in _DRAWS and not _is_empty(child):
            _clean(child)
        else:
            element.remove(child)
    for name, value in list(element.attrib.items()):
        if name not in _KEPT:
            del element.attrib[name]
        elif name in ("d", "transform", "x", "y", "x2", "y2"):
            element.set(name, _LONG.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value))
    if _tag(element) == "g" and not len(element):
        element.clear()


def _is_empty(element: Xml.Element) -> bool:
    """A path of no length, of which Vega draws one behind each axis."""
    return _tag(element) == "path" and element.get("d") in ("M0,0h0v0h0Z", "")


def _tag(element: Xml.Element) -> str:
    return str(element.tag).removeprefix(f"{{{_SPACE}}}")


def _named(drawn: str, name: str, title: str, description: str) -> str:
    root = Xml.fromstring(drawn)
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", f"{name}-{element.get('id')}")
        if clipped := element.get("clip-path"):
            element.set("clip-path", _REFERENCE.sub(rf"url(#{name}-\1)", clipped))
        element.tag = _tag(element)
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        said = Xml.Element(tag, {"id": f"{name}-{tag}"})
        said.text = sanitize_output.line(text)
        root.insert(place, said)
    width = float(root.get("viewBox", "0 0 500 0").split()[2])
    root.set("style", f"max-width: {1.4 * width:.0f}px")
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    return Xml.tostring(root, encoding="unicode")
