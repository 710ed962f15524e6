"""Shows people what the lab is doing, on standard error: one line for each stage.

On a terminal the line of the running stage is updated in place. Elsewhere it is written again every
few seconds, so that a reader can see what the lab is working on. Standard output has none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, TextIO

from lab.util.terminal import escape

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

#: Seconds without output after which the line of the running stage is written again.
BEAT = 3.0
#: Seconds between two looks at the progress of a stage, and between two drawings of a live line.
LOOK, DRAW = 1.0, 0.125


class Stage:
    """One running stage."""

    def __init__(self, name: str, depth: int) -> None:
        self.name = name
        self.depth = depth
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

    def moving(self) -> str:
        """``boot Xen … 1 s so far (note: the words of look)``: cannot be mistaken for the final
        line."""
        look, now = self._look, time.monotonic()
        if look and now - self._looked >= LOOK:
            self._looked = now
            with contextlib.suppress(OSError, ValueError):
                self._seen = escape(look(), limit=120)
        details = ": ".join(filter(None, (self.detail, self._seen)))
        words = [self._begin(), f"{self.elapsed():.0f} s so far", f"({details})" if details else ""]
        return " ".join(filter(None, words))

    def _begin(self) -> str:
        return f"{'  ' * self.depth}{self.name} …"


_innermost: ContextVar[Stage | None] = ContextVar("stage", default=None)


def current() -> Stage:
    """The innermost running stage; if there is none, one that nobody sees.

    So code can report its progress without a stage as a parameter.
    """
    return _innermost.get() or Stage("", 0)


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
    """Shows stages; remembers how long each took in ``phases`` (seconds, by name)."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._alive = not quiet and is_terminal(self._stream)
        self._stages: list[Stage] = []
        self._motion: _Motion | None = None
        self._followers: list[Callable[[str], None]] = []
        self.phases: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """A stage for the block. A stage inside another one is indented."""
        stage = Stage(escape(name, limit=80), len(self._stages))
        outer = _innermost.get()
        _innermost.set(stage)
        self._stages.append(stage)
        self._tell_followers()
        if not self._quiet and self._motion is None:
            self._motion = self._start()
        ending = "failed after"
        try:
            yield stage
            ending = ""
        except (KeyboardInterrupt, asyncio.CancelledError):
            ending = "interrupted after"
            raise
        finally:
            # Not reset(token): the block may be left in another context than it was entered.
            _innermost.set(outer)
            self.phases[name] = stage.elapsed()
            self._stages.pop()
            self._tell_followers()
            if self._motion and not self._stages:
                self._motion.stop()
                self._motion = None
            self.say(stage.line(ending))

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

    def _start(self) -> _Motion:
        if not self._alive:
            return _Lines(self._stream, self._moving, BEAT)
        try:
            return _Rich(self._stream, self._moving)
        except ImportError:  # while .venv is being made, there is no rich
            return _OneLine(self._stream, self._moving, DRAW)

    def _moving(self) -> str:
        # Another thread calls this, perhaps between two stages.
        stages = list(self._stages)
        return stages[-1].moving() if stages else ""


class _Motion(Protocol):
    """Shows the line of the running stage as long as there is one."""

    def say(self, text: str) -> None: ...

    def stop(self) -> None: ...


class _Rich:
    """A live line, by rich. It is imported only here, because the import takes a tenth of a
    second."""

    def __init__(self, stream: TextIO, line: Callable[[], str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._line = line
        console = Console(file=stream, no_color="NO_COLOR" in os.environ, soft_wrap=True)
        self._live: Live = Live(
            console=console, get_renderable=self._render, refresh_per_second=1 / DRAW,
            transient=True,
        )  # fmt: skip
        self._live.start(refresh=True)

    def say(self, text: str) -> None:
        self._live.console.print(text, markup=False, highlight=False)

    def stop(self) -> None:
        self._live.stop()

    def _render(self) -> Text:
        from rich.text import Text

        return Text(self._line(), style="cyan", no_wrap=True, overflow="ellipsis")


class _Lines:
    """Writes the line again whenever there was no output for ``every`` seconds. Not for
    terminals."""

    def __init__(self, stream: TextIO, line: Callable[[], str], every: float) -> None:
        self._stream = stream
        self._line = line
        self._every = every
        self._said = time.monotonic()
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="progress")
        self._thread.start()

    def say(self, text: str) -> None:
        with self._writing:
            self._said = time.monotonic()
            write(self._stream, f"{text}\n")

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(max(0.0, self._said + self._every - time.monotonic())):
            if time.monotonic() - self._said >= self._every:
                self._beat()

    def _beat(self) -> None:
        self.say(self._line())


class _OneLine(_Lines):
    """A live line without rich (ECMA-48: EL clears the line)."""

    def say(self, text: str) -> None:
        super().say(f"\r\x1b[K{text}")

    def stop(self) -> None:
        super().stop()
        write(self._stream, "\r\x1b[K")

    def _beat(self) -> None:
        line = self._line()[: _columns(self._stream) - 1]
        with self._writing:
            self._said = time.monotonic()
            write(self._stream, f"\r\x1b[K{line}")


def write(stream: TextIO, text: str) -> None:
    """Write to people. Errors are ignored: the terminal may be gone, and the work must go on."""
    with contextlib.suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at this stream and it understands escape sequences."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _columns(stream: TextIO) -> int:
    """The width of the terminal; 80 if it does not know its size and says 0."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
