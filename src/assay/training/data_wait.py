"""How long a training waits for its data: the part of its time in which batches are made and not trained on.

Covers: the clock around each batch, a line for the log now and then. On an accelerator it is the host's time, which
runs ahead of the device. Watching changes nothing: no random number is drawn and no tensor touched here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

#: seconds before the first line, and between two
_FIRST, _QUIET = 1.0, 5.0


class DataWait:
    """Seconds that `batches` took to come, of all seconds since this was made."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self._say, self._clock = say, clock
        self._began = self._said = clock()
        self._waited = 0.0
        self._quiet = _FIRST

    def batches(self, batches: Iterable[T]) -> Iterator[T]:
        """The same batches, with the time that each took to come."""
        source = iter(batches)
        while True:
            asked = self._clock()
            try:
                batch = next(source)
            except StopIteration:
                return
            finally:
                self._waited += self._clock() - asked
            yield batch

    def tell(self, epoch: int, *, last: bool = False) -> None:
        """A line at the end of an epoch, where some time went by since the last one, or where it is the `last`."""
        now = self._clock()
        if last or now - self._said >= self._quiet:
            self._said, self._quiet = now, _QUIET
            self._say(line(epoch, self._waited / max(now - self._began, self._waited, 1e-9)))


def line(epoch: int, share: float) -> str:
    """What the log says after `epoch`; `assay watch` reads it (`replicates.live_arm`)."""
    return f"epoch {epoch}: {100 * share:.1f} % of the time waiting for data"
