"""Fixtures of these tests."""

import pytest
from miniature import make as make

from assay.runtime import fork_safety


@pytest.fixture(autouse=True)
def _copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of loops are copies of this one, which is quick: a thread of the test runner holds nothing of ours."""
    monkeypatch.setattr(fork_safety, "strange_threads", lambda _known: [])
    monkeypatch.setattr(fork_safety, "_harmless", lambda _loaded: 1000)
