"""The report of a seat's run: its timeline and figures, from the traces as far as they go now.

It is the page of ``trace.report``. What a guest printed is in it as text, but a participant's run
folder decides what it says: so browsers must treat it as a page of nobody.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from lab.errors import UsageError
from lab.rundir import RunDir
from lab.util import reading
from lab.web import commands
from lab.web.classroom import Seat
from lab.web.commands import Commands

#: What a browser may do with a report: run its scripts, as if it came from nowhere.
POLICY = "sandbox allow-scripts; frame-ancestors 'self'"
#: The file in the folder of traces that a run without traces may have, too.
MARK = "start.json"
#: The largest report, in bytes.
LARGEST = 64 << 20
#: What making one may use.
LIMITS = replace(commands.BUILD, seconds=60.0)


class Reports:
    """Makes reports, a few at a time and of a seat one after the other."""

    def __init__(self, slots: asyncio.Semaphore, made_by: Commands) -> None:
        self._slots = slots
        self._commands = made_by
        self._turns: dict[Path, asyncio.Lock] = {}

    async def of(self, seat: Seat, run: RunDir | None) -> str:
        """The report of a run, made now.

        Raises:
            UsageError: the run has no traces, or they cannot be read.
        """
        if run is None or not is_traced(run):
            raise UsageError("this lab has no timing traces", hint="docs/tracing.md")
        file = seat.folder / "report.html"
        words = ["trace.report", str(run.path), "--out", str(file)]
        async with self._turns.setdefault(file, asyncio.Lock()), self._slots:
            done = await self._commands.run(words, seat.labs, LIMITS)
            if not done.well:
                raise UsageError(f"the report cannot be made:\n{done.said}")
            return reading.text(file, LARGEST)


def is_traced(run: RunDir) -> bool:
    """Whether a run keeps timing traces."""
    there = run.trace_dir.iterdir() if run.trace_dir.is_dir() else ()
    return any(path.name != MARK for path in there)
