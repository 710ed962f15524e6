"""The line, or lines, of the running stages: alive on a terminal, written again elsewhere."""

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
    """Shows the running stage's line as long as there is one."""

    def say(self, text: str) -> None: ...

    def stop(self) -> None: ...


class LiveLines:
    """A live line, by rich. Imported here only: this import alone takes a tenth of a second."""

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


class Repeated:
    """The line again whenever nothing was said for ``every`` seconds: not a terminal."""

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
    """People's words must never end the work: the terminal may be gone."""
    with contextlib.suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at this stream and it understands escape sequences."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _columns(stream: TextIO) -> int:
    """0 is what a terminal says that was not told its size."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
