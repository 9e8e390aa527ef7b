"""Pillow, or one sentence where it is not installed."""

from __future__ import annotations

from assay.core.errors import UsageError

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as error:
    raise UsageError("images need Pillow, which is not installed", hint="pip install 'dvc-assay[ready]'") from error

__all__ = ["Image", "ImageOps", "UnidentifiedImageError"]
