"""Shows the lines of the running stages: updated in place on a terminal, written again
elsewhere."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

#: Seconds between two drawings of a live line.
DRAW = 0.125


class Motion(Protocol):
    """Shows the lines of the running stages as long as there are any."""

    def say(self, text: str) -> None: ...

    def stop(self) -> None: ...


class LiveLines:
    """Live lines, by rich. It is imported only here, because the import takes a tenth of a
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


#: How much longer each pause is than the one before.
GROWTH = 1.25


class Repeated:
    """Writes the lines again whenever there was no output for ``every`` seconds. Not for
    terminals.

    If nothing else is said meanwhile, the pauses grow, up to ``most`` seconds: the log of a long
    build stays short.
    """

    def __init__(
        self, stream: TextIO, line: Callable[[], str], every: float, most: float = 0.0
    ) -> None:
        self._stream = stream
        self._line = line
        self._every = every
        self._most = max(every, most)
        self._pause = every
        self._said = time.monotonic()
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="progress")
        self._thread.start()

    def say(self, text: str) -> None:
        with self._writing:
            self._said, self._pause = time.monotonic(), self._every
            write(self._stream, f"{text}\n")

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(max(0.0, self._said + self._pause - time.monotonic())):
            if time.monotonic() - self._said >= self._pause:
                self._beat()

    def _beat(self) -> None:
        longer = min(self._most, self._pause * GROWTH)
        self.say(self._line())
        self._pause = longer


class LiveLine(Repeated):
    """A live line without rich (ECMA-48: EL clears the line)."""

    def say(self, text: str) -> None:
        super().say(f"\r\x1b[K{text}")

    def stop(self) -> None:
        super().stop()
        write(self._stream, "\r\x1b[K")

    def _beat(self) -> None:
        line = self._line().rpartition("\n")[2][: _columns(self._stream) - 1]
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
