"""A point in time on the monotonic clock by which something must have happened."""

from __future__ import annotations

import time


class Deadline:
    """``seconds`` from now. Every wait in the project ends at one of these."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = time.monotonic()

    def left(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.seconds - self.elapsed())

    def elapsed(self) -> float:
        """Seconds since the deadline was set."""
        return time.monotonic() - self._start

    def passed(self) -> bool:
        return self.elapsed() >= self.seconds
