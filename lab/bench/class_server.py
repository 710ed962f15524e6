"""A class for the bench: the real server in a process of its own, and pages without a browser."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from lab import config, rundir
from lab.api import Context
from lab.errors import LabError
from lab.util import process
from lab.util.deadline import Deadline
from lab.web import classroom, excerpt

#: Seconds in which a server must begin, and end; the labs of 20 seats may have to be stopped.
LONGEST = 300.0
#: Seconds that each wait of a page may take.
PATIENCE = 120.0


@dataclass(frozen=True)
class Cost:
    """What a process has used: seconds of a processor, and its largest memory in bytes."""

    seconds: float
    memory: int

    def since(self, before: Cost) -> Cost:
        """The seconds since then."""
        return Cost(self.seconds - before.seconds, self.memory)


@dataclass
class ClassServer:
    """A server that runs, and its links. ``folder``: that of the class."""

    pid: int
    name: str
    folder: Path
    teacher: str
    seats: list[str]

    def cost(self) -> Cost:
        """What the server itself has used, without the commands that it runs (proc_pid_stat(5))."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{self.pid}/status").read_text().split("VmHWM:")[1].split()[0]
        ticks = int(stat[11]) + int(stat[12])
        return Cost(ticks / os.sysconf("SC_CLK_TCK"), int(status) << 10)

    def log(self, number: int, console: str = "guest") -> Path:
        """The log of a console in a new run of a seat, as if QEMU wrote it."""
        runs = self.folder / "seats" / str(number) / "runs"
        log = rundir.new_run(runs, f"{self.name}-{number}").console(console)
        log.touch()
        return log


@contextmanager
def served(context: Context, name: str, seats: int) -> Iterator[ClassServer]:
    """A server of a lab's class, in a folder of its own. Its labs are stopped with it.

    Raises:
        LabError: it does not begin.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        excerpt.lay(context.file, config.find_lab(context.labs(), name), folder)
        words = ["lab.serve", name, "--seats", str(seats), "--json"]
        argv = [sys.executable, "-m", "lab", *words, "--labs", str(folder / "labs.yaml")]
        with tempfile.TemporaryFile() as log:
            child = process.spawn(argv, log_to=log, env=dict(os.environ))
            try:
                links = _links(child, log)
                home = folder / "runs" / classroom.FOLDER / name
                yield ClassServer(child.pid, name, home, links["teacher"], links["seats"])
            finally:
                child.send_signal(signal.SIGINT)
                if process.reap(child, LONGEST) is None:
                    process.end_group(child.pid)


def _links(child: process.Child, log: IO[bytes]) -> dict[str, Any]:
    """What the server prints when its pages can be opened."""
    deadline = Deadline(LONGEST)
    while not deadline.passed():
        said = os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace")
        if "serving; Ctrl-C" in said:
            start = said.index("{\n")
            return dict(json.JSONDecoder().raw_decode(said[start:])[0])
        if process.reap(child, 0.05) is not None:
            break
    raise LabError("the server of the class did not begin", tail=said)


@dataclass
class Page:
    """A page of a seat: its socket, its last state, and the times of the lines that it got."""

    socket: ClientWebSocketResponse
    seat: dict[str, Any] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    shown: dict[str, bytes] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Take what the server sends, until the page is closed."""
        async for message in self.socket:
            if message.type is WSMsgType.BINARY:
                self._output(message.data)
            elif message.type is WSMsgType.TEXT:
                data = json.loads(message.data)
                self.seat = data if data["type"] == "seat" else self.seat
            self.news.set()

    async def until(self, what: Callable[[Page], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE):
            while not what(self):
                self.news.clear()
                await self.news.wait()

    def _output(self, data: bytes) -> None:
        now = time.monotonic()
        end = 1 + data[0]
        name = data[1:end].decode()
        lines = data[end + 8 :].split(b"\n")
        stamps = (line.split() for line in lines if line.endswith(b" end"))
        self.delays += [now - float(words[-2]) for words in stamps]
        self.shown[name] = (self.shown.get(name, b"") + data[end + 8 :])[-4096:]


@asynccontextmanager
async def pages(links: list[str]) -> AsyncIterator[list[Page]]:
    """A page of each of these seats."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        found = []
        for link in links:
            socket = await session.ws_connect(f"{link}/socket", max_msg_size=0)
            stack.push_async_callback(socket.close)
            await socket.send_json({"type": "from"})
            found.append(Page(socket))
            reader = asyncio.ensure_future(found[-1].read())
            stack.callback(reader.cancel)
        yield found
