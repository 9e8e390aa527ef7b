"""YAML as DVC reads it: version 1.2 scalars, merge keys, duplicate keys refused.

PyYAML alone follows YAML 1.1, where `1e-3` is a string, `on` a boolean and `010` eight. Refused though DVC reads it:
what our records, which are JSON, cannot hold (whole numbers beyond 64 bits, lists and mappings as keys, sets and
bytes), and what is beyond `core.yaml_limits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from assay.core import yaml_limits
from assay.core.errors import UsageError
from assay.core.paths import PARAMS
from assay.core.short_repr import excerpt
from assay.core.yaml_limits import Limits, RefusedError
from assay.core.yaml_scalars import PLAIN, READERS, WHOLE, LargeError

#: parsing in C, five times as fast, where PyYAML was built with it
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"


class _Loader(_Safe):  # type: ignore[misc]
    """Builds plain values alone; every other tag is refused."""


def parse(content: bytes | str, where: str = PARAMS, limits: Limits = yaml_limits.WRITTEN) -> dict[str, Any]:
    """The mapping in a YAML 1.2 text. Raises UsageError, and nothing else, for a text that is none."""
    try:
        text = content.decode() if isinstance(content, bytes) else content
        yaml_limits.check(text, limits, _Safe)
        loaded = yaml.load(text, _Loader)
    except RefusedError as error:
        raise UsageError(
            f"{where} {error.problem}", allowed=error.allowed, hint=error.hint or f"correct {where}"
        ) from error
    except yaml.YAMLError as error:
        said = " ".join(re.sub(r'\s+in "<unicode string>"', "", str(error)).split())[:300]
        raise UsageError(f"{where} is not valid YAML: {said}", hint=f"correct {where}") from error
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise UsageError(f"{where} is not UTF-8: {error.reason}", hint=f"correct {where}") from error
    if not isinstance(loaded, dict):
        held = "nothing" if loaded is None else f"a {type(loaded).__name__}"
        raise UsageError(f"{where} holds {held}", allowed="a mapping of parameters", hint=f"correct {where}")
    return loaded


def _scalar(kind: str) -> Callable[[_Loader, yaml.Node], Any]:
    """What builds a scalar of this kind."""
    read = READERS[kind]

    def build(_: _Loader, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise RefusedError(f"holds a {_shape(node)} that is tagged as {kind}", _line(node))
        try:
            return read(node.value)
        except LargeError as error:
            problem = f"holds the whole number {excerpt(node.value)}"
            allowed = f"{WHOLE.start} to {WHOLE.stop - 1}, or a number with a point or an exponent"
            raise RefusedError(problem, _line(node), allowed) from error
        except (LookupError, ValueError, OverflowError) as error:
            raise RefusedError(f"holds {excerpt(node.value)}, which is no {kind}", _line(node)) from error

    return build


def _sequence(loader: _Loader, node: yaml.Node) -> Iterator[list[Any]]:
    if not isinstance(node, yaml.SequenceNode):
        raise RefusedError(f"holds a {_shape(node)} that is tagged as seq", _line(node))
    made: list[Any] = []
    yield made
    made.extend(loader.construct_object(item, deep=True) for item in node.value)


def _mapping(loader: _Loader, node: yaml.Node) -> Iterator[dict[Any, Any]]:
    """Its own keys win over merged ones."""
    if not isinstance(node, yaml.MappingNode):
        raise RefusedError(f"holds a {_shape(node)} that is tagged as map", _line(node))
    made: dict[Any, Any] = {}
    yield made
    seen: set[Any] = set()
    merged: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = "<<" if _merges(key_node) else _key(loader, key_node)
        name = (key, _merges(key_node))
        if name in seen:
            raise RefusedError(f"has the key {excerpt(key)} twice", _line(key_node), hint="remove one of the two")
        seen.add(name)
        if _merges(key_node):
            merged = _brought(loader, value_node)
        else:
            made[key] = loader.construct_object(value_node, deep=True)
    for key, value in merged.items():
        made.setdefault(key, value)


def _merges(key: yaml.Node) -> bool:
    """Whether it is the merge key, `<<` without quotes."""
    return bool(key.tag == f"{_TAG}merge")


def _brought(loader: _Loader, node: yaml.Node) -> dict[Any, Any]:
    """What `<<: …` brings: a mapping, or several, of which the first wins."""
    found: dict[Any, Any] = {}
    for one in reversed(node.value if isinstance(node, yaml.SequenceNode) else [node]):
        if not isinstance(one, yaml.MappingNode):
            raise RefusedError(f"merges a {_shape(one)} by <<", _line(one), allowed="a mapping, or a list of mappings")
        found.update(loader.construct_object(one, deep=True))
    return found


def _key(loader: _Loader, node: yaml.Node) -> str | int | float:
    if node.tag == f"{_TAG}value":  # a lone =
        return str(node.value)
    plain = isinstance(node, yaml.ScalarNode)
    key = loader.construct_object(node, deep=True) if plain else None
    if isinstance(key, bool) or not isinstance(key, str | int | float) or key != key:
        said = excerpt(node.value) if plain else f"a {_shape(node)}"
        raise RefusedError(f"has {said} as a key", _line(node), "text and numbers", "write the key in quotes")
    return key


def _unknown(_: _Loader, node: yaml.Node) -> None:
    tag = node.tag.replace(_TAG, "!!")
    allowed = ", ".join(f"!!{kind}" for kind in (*READERS, "seq", "map"))
    raise RefusedError(f"has the tag {excerpt(tag)}", _line(node), allowed, "remove the tag, or write text in quotes")


def _shape(node: yaml.Node) -> str:
    names: dict[type[yaml.Node], str] = {yaml.SequenceNode: "list", yaml.MappingNode: "mapping"}
    return names.get(type(node), "scalar")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag.removeprefix(_TAG) not in PLAIN]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, (_pattern, _firsts) in PLAIN.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(f"^(?:{_pattern})$"), list(_firsts))
_Loader.yaml_constructors = {f"{_TAG}{kind}": _scalar(kind) for kind in READERS} | {
    f"{_TAG}seq": _sequence,
    f"{_TAG}map": _mapping,
    None: _unknown,
}
