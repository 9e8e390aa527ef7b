"""The base of all sections of params.yaml."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: an unknown key is an error. docs/generate.py prints the comments beside the fields."""
