"""Lines on pytest's terminal that say what a test waits for while its lab is built or started.

The first line comes after a few seconds, later ones more and more rarely. A worker of
pytest-xdist has no terminal, so it sends its lines through a socket to the process that has one.
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

#: Seconds until the first line, and the longest pause between two lines.
FIRST, LONGEST = 4.0, 60.0
#: The entry of a worker's input that says where the process with the terminal listens.
LISTENS = "lab_waits"
#: The largest line, in bytes.
LARGEST = 4096


class Told(Progress):
    """Remembers the stages that are going on."""

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
        """The innermost stage, how long it has taken so far, and its last note."""
        running = list(self._running)
        return running[-1].line().strip() if running else ""


@contextlib.contextmanager
def told(config: pytest.Config, name: str, nodeid: str) -> Iterator[Progress]:
    """Show on the terminal what the ``with`` block, which starts a lab, is doing."""
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
    """Drop a line: there is no terminal."""


def _way(config: pytest.Config) -> Callable[[str], None]:
    """The function that brings a line from here to the terminal."""
    if place := getattr(config, "workerinput", {}).get(LISTENS):
        return lambda line: _send(place, line)
    if config.pluginmanager.has_plugin("terminalreporter"):
        return lambda line: _write(config, line)
    return _nobody


def _write(config: pytest.Config, line: str) -> None:
    """Write a line of its own between pytest's lines, past the capture of tests' output."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        reporter.ensure_newline()
        if config.get_terminal_writer().width_of_current_line:
            line = f"\n{line}"  # pytest does not know that dots of pytest-xdist are there
        reporter.write_line(line)


def _send(place: str, line: str) -> None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.setblocking(False)  # drop the line if nobody listens, or too slowly
        out.sendto(line.encode()[:LARGEST], place)


def listen(config: pytest.Config) -> Listener | None:
    """Listen to workers from now on. ``None`` if the socket's path would be too long."""
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
    """Receives workers' lines, in the process that has the terminal."""

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
        """Stop listening, and remove the socket."""
        _send(self.place, "")
        self._thread.join(5.0)
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)
