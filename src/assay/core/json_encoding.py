"""Parameters as JSON holds them, for keys and records: a date, or a key that is no text, says its kind in YAML's way.

`{0: 1.5}` becomes `{"!!int 0": 1.5}` and `2020-01-01` becomes `"!!timestamp 2020-01-01"`, so that neither is taken for
the text that looks alike.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any


def json_form(value: Any) -> Any:
    """`value` in mappings with keys of text, lists, text, numbers, booleans and None."""
    if isinstance(value, Mapping):
        return {_key(key): json_form(below) for key, below in value.items()}
    if isinstance(value, list):
        return [json_form(below) for below in value]
    return f"!!timestamp {value.isoformat()}" if isinstance(value, datetime.date) else value


def _key(key: object) -> str:
    return key if isinstance(key, str) else f"!!{type(key).__name__} {key}"
