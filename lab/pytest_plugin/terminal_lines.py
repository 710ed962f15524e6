"""What a test waits for while its lab is made or started, said on pytest's own terminal.

A line when it takes longer than a few seconds, then seldom more. A worker of pytest-xdist has no
terminal: it sends its lines to the process that has one, through a socket of the session's.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.progress import Progress, Stage

#: Seconds after which it is said what a test waits for: the first time, and the longest pause.
FIRST, LONGEST = 4.0, 60.0
#: Where the process that has the terminal listens, as workers of pytest-xdist are told it.
LISTENS = "lab_waits"
#: The most bytes of a line.
LARGEST = 4096


class Told(Progress):
    """Knows what goes on now."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self._running: list[Stage] = []

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        with super().stage(name) as stage:
            self._running.append(stage)
            try:
                yield stage
            finally:
                self._running.remove(stage)

    @property
    def now(self) -> str:
        """The innermost stage, for how long it goes on already, and its last note."""
        running = list(self._running)
        return running[-1].line().strip() if running else ""


@contextlib.contextmanager
def told(config: pytest.Config, name: str, nodeid: str) -> Iterator[Progress]:
    """While the block starts a lab, whoever looks at the terminal learns what it is at."""
    progress, done = Told(), threading.Event()
    say = _way(config)

    def watch() -> None:
        pause = FIRST
        while not done.wait(pause):
            say(f"lab {name} for {nodeid}: {progress.now or 'being started'}")
            pause = min(2 * pause, LONGEST)

    thread = threading.Thread(target=watch, name="lab-waits", daemon=True)
    if say is not _nobody:
        thread.start()
    try:
        yield progress
    finally:
        done.set()
        if thread.is_alive():
            thread.join()


def _nobody(_: str) -> None:
    """No terminal: pytest says nothing at all."""


def _way(config: pytest.Config) -> Callable[[str], None]:
    """How a line gets to the terminal from here."""
    if place := getattr(config, "workerinput", {}).get(LISTENS):
        return lambda line: _send(place, line)
    if config.pluginmanager.has_plugin("terminalreporter"):
        return lambda line: _write(config, line)
    return _nobody


def _write(config: pytest.Config, line: str) -> None:
    """A line of its own, beside what pytest writes; what tests say is captured, this is not."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        reporter.ensure_newline()
        if config.get_terminal_writer().width_of_current_line:
            line = f"\n{line}"  # dots of pytest-xdist's are no line to pytest itself
        reporter.write_line(line)


def _send(place: str, line: str) -> None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.setblocking(False)  # nobody listens any more, or too slowly: then it is not said
        out.sendto(line.encode()[:LARGEST], place)


def listen(config: pytest.Config) -> Listener | None:
    """Hear workers from now on; ``None`` where no socket can be had (its path is too long)."""
    folder = Path(tempfile.mkdtemp(prefix="lab-waits-"))
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        found.bind(str(folder / "socket"))
    except OSError:
        found.close()
        shutil.rmtree(folder)
        return None
    return Listener(config, folder, found)


class Listener:
    """The end of the workers' lines; in the process that has the terminal."""

    def __init__(self, config: pytest.Config, folder: Path, bound: socket.socket) -> None:
        self._config = config
        self._folder = folder
        self.place = str(folder / "socket")
        self._socket = bound
        self._thread = threading.Thread(target=self._listen, name="lab-waits", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        say = _way(self._config)
        while line := self._socket.recv(LARGEST):
            say(line.decode(errors="replace"))

    def close(self) -> None:
        """No more lines; nothing is left of it."""
        _send(self.place, "")
        self._thread.join(5.0)
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)
