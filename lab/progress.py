"""Shows people what the lab is doing, on standard error: one line for each stage.

On a terminal the line of the running stage is updated in place. Elsewhere it is written again every
few seconds, and less often the longer a stage lasts, so that a reader can see what the lab is
working on. Standard output has none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TextIO

from lab.util.live_line import DRAW, LiveLine, LiveLines, Motion, Repeated, is_terminal, write
from lab.util.terminal import escape, title
from lab.util.together import CalledOff

#: Seconds without output after which the line of the running stage is written again: at first, and
#: at most.
BEAT, LONGEST_BEAT = 3.0, 30.0
#: Seconds between two looks at the progress of a stage.
LOOK = 1.0


class Stage:
    """One running stage."""

    def __init__(self, name: str, outer: Stage | None = None) -> None:
        self.name = name
        self.outer = outer
        self.depth: int = outer.depth + 1 if outer else 0
        self.detail = ""
        self._look: Callable[[], str] | None = None
        self._seen = ""
        self._looked = 0.0
        self._start = time.monotonic()

    def note(self, text: str) -> None:
        """Set the words in brackets: what the stage is doing or has found. The last ones stay in
        its final line."""
        self.detail = escape(text, limit=120)

    @contextlib.contextmanager
    def looking(self, look: Callable[[], str]) -> Iterator[None]:
        """While the block runs, the line ends with the words of ``look``, which is called once a
        second.

        ``look`` runs in another thread. If it fails, its last words stay.
        """
        self._look, self._looked, self._seen = look, 0.0, ""
        try:
            yield
        finally:
            self._look, self._seen = None, ""

    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return time.monotonic() - self._start

    def line(self, ending: str = "") -> str:
        """``boot Xen … 1.2s (note)``."""
        words = [ending, f"{self.elapsed():.1f}s", f"({self.detail})" if self.detail else ""]
        return " ".join([self._begin(), *filter(None, words)])

    def now(self) -> str:
        """``note: the words of look``: what the stage is doing."""
        look, now = self._look, time.monotonic()
        if look and now - self._looked >= LOOK:
            self._looked = now
            with contextlib.suppress(OSError, ValueError):
                self._seen = escape(look(), limit=120)
        return ": ".join(filter(None, (self.detail, self._seen)))

    def moving(self) -> str:
        """``boot Xen … 1 s so far (note: the words of look)``: cannot be mistaken for the final
        line."""
        details = self.now()
        words = [self._begin(), f"{self.elapsed():.0f} s so far", f"({details})" if details else ""]
        return " ".join(filter(None, words))

    def _begin(self) -> str:
        return f"{'  ' * self.depth}{self.name} …"


_innermost: ContextVar[Stage | None] = ContextVar("stage", default=None)


def current() -> Stage:
    """The innermost running stage; if there is none, one that nobody sees.

    So code can report its progress without a stage as a parameter.
    """
    return _innermost.get() or Stage("")


class Amount:
    """Progress in numbers: ``120 of 377 MB, about 8 s left``.

    ``total`` is 0 if it is unknown; then the time left is unknown, too.
    """

    def __init__(self, total: int, unit: str = "MB", scale: int = 1_000_000) -> None:
        self._total = total
        self._unit = unit
        self._scale = scale
        self._first: tuple[float, int] | None = None

    def words(self, done: int) -> str:
        """The words for the amount ``done``."""
        self._first = self._first or (time.monotonic(), done)
        if not self._total:
            return f"{done / self._scale:.0f} {self._unit}"
        done = min(done, self._total)
        so_far = f"{done / self._scale:.0f} of {self._total / self._scale:.0f} {self._unit}"
        return f"{so_far}{self._left(done)}"

    def _left(self, done: int) -> str:
        assert self._first is not None
        took, moved = time.monotonic() - self._first[0], done - self._first[1]
        if took < 1 or moved <= 0 or done >= self._total:
            return ""
        seconds = (self._total - done) * took / moved
        return f", about {f'{seconds:.0f} s' if seconds < 100 else f'{seconds / 60:.0f} min'} left"


class Progress:
    """Shows stages; remembers how long each took in ``phases`` (seconds, by name).

    Threads may have stages at the same time: each has its line.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._alive = not quiet and is_terminal(self._stream)
        self._stages: list[Stage] = []
        self._guard = threading.RLock()
        self._motion: Motion | None = None
        self._followers: list[Callable[[str], None]] = []
        self.phases: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """A stage for the block. A stage inside another one is indented."""
        outer = _innermost.get()
        stage = Stage(title(name), outer if outer in self._stages else None)
        _innermost.set(stage)
        self._begin(stage)
        ending = "failed after"
        try:
            yield stage
            ending = ""
        except (KeyboardInterrupt, asyncio.CancelledError, CalledOff):
            ending = "interrupted after"
            raise
        finally:
            # Not reset(token): the block may be left in another context than it was entered.
            _innermost.set(outer)
            self._end(stage)
            self._say_end(stage.line(ending))

    def _begin(self, stage: Stage) -> None:
        with self._guard:
            self._stages.append(stage)
            self._tell_followers()
            if not self._quiet and self._motion is None:
                self._motion = self._start()

    def _end(self, stage: Stage) -> None:
        with self._guard:
            self.phases[stage.name] = stage.elapsed()
            self._stages.remove(stage)
            self._tell_followers()
            if self._motion and not self._stages:
                self._motion.stop()
                self._motion = None

    def _say_end(self, line: str) -> None:
        self.say(line)

    @contextlib.contextmanager
    def followed(self, told: Callable[[str], None]) -> Iterator[None]:
        """While the block runs, ``told`` gets the name of each stage that becomes current."""
        self._followers.append(told)
        self._tell_followers()
        try:
            yield
        finally:
            self._followers.remove(told)

    def _tell_followers(self) -> None:
        for told in self._followers if self._stages else ():
            told(self._stages[-1].name)

    def say(self, text: str) -> None:
        """Print one line for people, above the live line."""
        if self._motion:
            self._motion.say(text)
        elif not self._quiet:
            write(self._stream, f"{text}\n")

    def _start(self) -> Motion:
        if not self._alive:
            return Repeated(self._stream, self._moving, BEAT, LONGEST_BEAT)
        try:
            return LiveLines(self._stream, self._moving)
        except ImportError:  # while .venv is being made, there is no rich
            return LiveLine(self._stream, self._moving, DRAW)

    def _moving(self) -> str:
        # Another thread calls this, perhaps between two stages.
        stages = list(self._stages)
        busy = {stage.outer for stage in stages}
        return "\n".join(stage.moving() for stage in stages if stage not in busy)


class Within(Progress):
    """The progress of work that is one stage of an outer progress. Its own stages are shown in the
    line of that stage; what it says comes after ``title``, each text once."""

    def __init__(self, outer: Progress, title: str) -> None:
        super().__init__(quiet=True)
        self._outer, self._title = outer, title
        self._said: set[str] = set()

    def say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._outer.say(f"{self._title}: {text}")

    def _say_end(self, line: str) -> None:
        """The outer stage has a final line of its own."""

    def words(self) -> str:
        """The innermost running stage, and what it is doing."""
        stages = list(self._stages)
        return ": ".join(filter(None, (stages[-1].name, stages[-1].now()))) if stages else ""
