"""Lets the lab of a seat sleep while nobody looks at it."""

from __future__ import annotations

import contextlib
import time

from lab.errors import LabError
from lab.run import asleep
from lab.web.classroom import Seat


class Rest:
    """Decides when a seat's lab sleeps. ``idle``: seconds; 0: it never does."""

    def __init__(self, seat: Seat, idle: float) -> None:
        self._seat = seat
        self._idle = idle
        self._since = time.monotonic()

    async def look(self, state: str, *, wanted: bool) -> None:
        """Put the lab to sleep or wake it. ``wanted``: somebody looks, or a command is at work."""
        if wanted or state not in ("running", "asleep"):
            self._since = time.monotonic()
        waited = time.monotonic() - self._since
        with contextlib.suppress(LabError):  # the next look tries again
            if state == "asleep" and wanted:
                await asleep.wake(self._seat.lab)
            elif state == "running" and not wanted and self._idle and waited >= self._idle:
                await asleep.put_to_sleep(self._seat.lab)

    async def end(self) -> None:
        """Wake the lab, if it sleeps: commands must find it awake."""
        with contextlib.suppress(LabError):
            if asleep.is_asleep(self._seat.lab):
                await asleep.wake(self._seat.lab)
