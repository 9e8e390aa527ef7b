"""Fixtures of these tests."""

from miniature import make as make
