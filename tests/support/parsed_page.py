"""A page read as a browser reads it: elements, attributes and text, and what each chart is called."""

from __future__ import annotations

from html.parser import HTMLParser

#: elements that have no end tag
VOID = {"meta", "img", "br", "hr", "link", "input", "source"}
#: attributes that make a browser fetch something
FETCHES = {"src", "href", "action", "formaction", "data", "poster", "srcset", "xlink:href", "background", "cite"}


class ParsedPage(HTMLParser):
    """`elements`: (tag, attributes) in order. `open` is empty at the end of a page whose tags fit."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.figures: list[set[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "figure":
            self.figures.append(set())
        elif "figure" in self.open:
            self.figures[-1].add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> ends nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        return [found["id"] for _, found in self.elements if "id" in found]

    @property
    def addresses(self) -> list[str]:
        """Everything that a browser would go to."""
        return [value for _, found in self.elements for name, value in found.items() if name in FETCHES]


def assert_sound(page: ParsedPage) -> None:
    """What holds of every page: closed tags, no script, nothing fetched, ids once, charts with names and tables."""
    assert not page.open
    assert not {"script", "iframe", "object", "embed", "link", "form", "base", "foreignobject", "image", "use"} & {
        tag for tag, _ in page.elements
    }
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address[:1] == "#"} <= set(page.ids)
    policy = next(found["content"] for found in page.all("meta") if found.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    for chart in page.all("svg"):
        assert chart["role"] == "img"
        assert set(chart["aria-labelledby"].split()) <= set(page.ids)
    assert all("table" in inside for inside in page.figures)
    assert all(found.get("alt") for found in page.all("img"))
