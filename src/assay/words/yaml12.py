"""YAML as DVC reads it: version 1.2 scalars, duplicate keys refused.

PyYAML alone follows YAML 1.1, where `1e-3` is a string, `on` a boolean and `010` eight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from assay.words.errors import UsageError

#: parsing in C, five times as fast, where PyYAML was built with it
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]
    """Scalars as in YAML 1.2's core schema; duplicate keys are refused."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith((":int", ":float", ":bool", ":timestamp"))]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_NUMERIC = list("-+.0123456789")
_CORE_SCHEMA = {  # YAML 1.2.2, section 10.3.2
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
for _name, _pattern in _CORE_SCHEMA.items():
    _firsts = list("tTfF") if _name == "bool" else _NUMERIC
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _firsts)


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    if text.startswith(("0o", "0x")):
        return int(text, 0)
    return int(text)


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan") if "inf" in text or "nan" in text else text)


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Iterator[dict[Any, Any]]:
    seen: dict[Any, Any] = {}
    yield seen
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise UsageError(f"params.yaml has the key {key!r} twice (line {line})", mend="remove one of the two")
        seen[key] = loader.construct_object(value_node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse(content: bytes | str, where: str = "params.yaml") -> dict[str, Any]:
    """The mapping in a YAML 1.2 text."""
    try:
        loaded = yaml.load(content.decode() if isinstance(content, bytes) else content, _Loader)
    except yaml.YAMLError as error:
        said = " ".join(str(error).replace(' in "<unicode string>"', "").split())
        raise UsageError(f"{where} is not valid YAML: {said}", mend=f"mend {where}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8: {error}") from error
    if not isinstance(loaded, dict):
        raise UsageError(f"{where} holds {type(loaded).__name__}", allowed="a mapping of parameters")
    return loaded
