"""What the lab is doing, for people, on standard error: one line for each stage.

On a terminal the line of the running stage is alive; elsewhere there are plain lines only.
A program that reads standard output never sees any of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

from lab.util.terminal import escape

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text


class Stage:
    """One running stage."""

    def __init__(self, name: str, depth: int) -> None:
        self.name = name
        self.depth = depth
        self.detail = ""
        self._start = time.monotonic()

    def note(self, text: str) -> None:
        """A few words about what it is at, or found; the last ones stay in the final line."""
        self.detail = escape(text, limit=120)

    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._start

    def line(self, ending: str = "") -> str:
        """``boot Xen … 1.2s (note)``."""
        words = [f"{'  ' * self.depth}{self.name} …", ending, f"{self.elapsed():.1f}s"]
        words += [f"({self.detail})"] if self.detail else []
        return " ".join(word for word in words if word)


class Progress:
    """Shows stages; remembers how long each took in ``phases`` (seconds, by name)."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._alive = not quiet and is_terminal(self._stream)
        self._stages: list[Stage] = []
        self._live: Live | None = None
        self._followers: list[Callable[[str], None]] = []
        self.phases: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """A stage as long as the block runs. One inside another is indented."""
        stage = Stage(escape(name, limit=80), len(self._stages))
        self._stages.append(stage)
        self._tell_followers()
        if self._alive and self._live is None:
            self._live = self._start()
        ending = "failed after"
        try:
            yield stage
            ending = ""
        except (KeyboardInterrupt, asyncio.CancelledError):
            ending = "interrupted after"
            raise
        finally:
            self.phases[name] = stage.elapsed()
            self._stages.pop()
            self._tell_followers()
            if self._live and not self._stages:
                self._live.stop()
                self._live = None
            self.say(stage.line(ending))

    @contextlib.contextmanager
    def followed(self, told: Callable[[str], None]) -> Iterator[None]:
        """While the block is executed, ``told`` hears the name of each stage that is at work."""
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
        """One line for people, above the live one."""
        if self._quiet:
            return
        if self._live:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            # People's words must never end the work: the terminal may be gone.
            with contextlib.suppress(OSError, ValueError):
                print(text, file=self._stream, flush=True)

    def _start(self) -> Live:
        # Only where it is used: this import alone takes a tenth of a second.
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, no_color="NO_COLOR" in os.environ, soft_wrap=True)
        live = Live(
            console=console, get_renderable=self._render, refresh_per_second=8, transient=True
        )  # fmt: skip
        live.start(refresh=True)
        return live

    def _render(self) -> Text:
        from rich.text import Text

        # The refresh thread may look in the moment between two stages.
        stages = list(self._stages)
        return Text(stages[-1].line() if stages else "", style="cyan", no_wrap=True)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at this stream and it understands escape sequences."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
