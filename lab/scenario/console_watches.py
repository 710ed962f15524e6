"""Steps that watch a console: they wait for a text, or for silence.

A wait reads the console's log itself. It begins where the last wait on that console ended, right
behind its match. So it misses nothing that came between two steps, however long ago that was, and
keeps nothing in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lab.machine.conversation import Position
from lab.machine.log_lines import LogReader, RawLine
from lab.model import Step
from lab.scenario.phrases import not_seen
from lab.util import reading
from lab.util.patterns import pattern
from lab.util.terminal import escape

#: Seconds after its deadline in which a wait still reads the lines that are already there.
GRACE = 4.0


class Watch(Protocol):
    """A step that watches.

    Attributes:
        deadline: when the step is over, in seconds since the guests run.
        passed: whether it passed; ``None`` until that is decided.
        reason: why it failed.
    """

    step: Step
    deadline: float
    passed: bool | None
    reason: str

    def look(self, at: float) -> bool:
        """Look at the console at this time. Returns whether there may be more to read at once."""
        ...

    def close(self) -> None: ...


class Wait:
    """Waits for a text on a console, from the last position on, and moves the position behind the
    match."""

    def __init__(self, step: Step, path: Path, positions: dict[str, Position], now: float) -> None:
        self.step = step
        self.deadline = now + step.within
        self.passed: bool | None = None
        self.reason = ""
        self._positions = positions
        self._start = positions.get(step.on, Position())
        self._pattern = pattern(step.text, regex=step.regex, line=step.line)
        self._reader = LogReader(step.on, path, self._start.offset)

    def look(self, at: float) -> bool:
        found = self._reader.read()
        partial = self._reader.partial
        for line in [*found, *([partial] if partial else [])]:
            if self._match(line):
                return False
        if at >= self.deadline and (not found or at >= self.deadline + GRACE):
            self.passed, self.reason = False, not_seen(self.step)
        return bool(found) and self.passed is None

    def _match(self, line: RawLine) -> bool:
        start = self._start.used if line.offset == self._start.offset else 0
        match = self._pattern.search(line.text, start)
        if match:
            self.passed = True
            before = self._positions.get(self.step.on, Position())
            self._positions[self.step.on] = max(before, Position(line.offset, match.end()))
        return bool(match)

    def close(self) -> None:
        self._reader.close()


class Silence:
    """Expects that a console prints nothing at all for some time, from now on."""

    def __init__(self, step: Step, path: Path, now: float) -> None:
        self.step = step
        self.deadline = now + step.within
        self.passed: bool | None = None
        self.reason = ""
        self._path = path
        self._size = _size(path)

    def look(self, at: float) -> bool:
        if _size(self._path) > self._size:
            with reading.binary(self._path) as file:
                file.seek(self._size)
                said = file.read(1000).lstrip(b"\r\n").split(b"\n")[0].strip(b"\r")
            said_so = f"{self.step.on} was not silent for {self.step.within:g}s; it printed"
            self.passed, self.reason = False, f"{said_so}: {escape(said, limit=200)}"
        elif at >= self.deadline:
            self.passed = True
        return False

    def close(self) -> None:
        pass


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
