"""The `data:` address of a picture in a record, which somebody else may have written."""

from __future__ import annotations

import re

from msgspec import UNSET, UnsetType

from assay.core.case_records import ExampleDisplay

#: a PNG in base64, and nothing else
_PNG = re.compile(r"iVBORw0KGgo[A-Za-z0-9+/]*={0,2}")


def png_address(shown: ExampleDisplay | UnsetType) -> str:
    """ "" for none, and for what is no PNG in base64."""
    if shown is UNSET or shown.picture is UNSET or not _PNG.fullmatch(shown.picture):
        return ""
    return f"data:image/png;base64,{shown.picture}"
