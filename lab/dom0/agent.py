"""The agent in dom0: runs programs, writes and reads files.

The protocol is qemu-ga's (docs/interop/qemu-ga-ref of QEMU): JSON lines over a virtio-serial
port. The agent is not trusted. Its answers are bounded in size and time. Every connection begins
with a synchronisation, which skips the answers to earlier questions that somebody gave up.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lab.dom0 import agent_answers
from lab.dom0.window import Window, refused
from lab.errors import Dom0Error, UsageError
from lab.util import reading, turns
from lab.util.deadline import Deadline
from lab.util.terminal import escape, quote

#: The largest answer that is read, in bytes. qemu-ga limits a program's output to 16 MiB, which
#: is 22 MiB in base64.
LARGEST_ANSWER = 24 << 20
#: Bytes of a file in one message. The agent's parser is slow with larger messages.
PIECE = 48 << 10
#: Seconds within which the agent answers a simple question.
ANSWER = 10.0
#: Seconds to wait for a turn at the agent, if the caller gives no limit.
TURN = 300.0
#: A file may take ``TRANSFER`` seconds, and a second more for each ``SLOWEST`` bytes.
TRANSFER, SLOWEST = 30.0, 256 << 10
#: The agent has no event for a program's end, so it is asked: the first and the longest pause
#: between two questions, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.004, 0.1


@dataclass(frozen=True)
class ProgramResult:
    """The result of a program that ran in dom0.

    ``status`` is its exit status, or the negative number of the signal that killed it.
    """

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes


class Endless(Dom0Error):
    """A program in dom0 did not end in time. ``tail``: its last lines."""

    def __init__(self, argv: Sequence[str], within: float, tail: str = "", hint: str = "") -> None:
        super().__init__(
            f"{quote(argv[0])} did not end in dom0 within {within:g} s",
            tail=tail,
            hint=hint or "it still runs in dom0; look at dom0's console: lab.logs NAME --on dom0",
        )


class Dom0(Protocol):
    """What dom0 can be asked to do, through its agent or at a stop (:mod:`lab.dom0.steps`)."""

    async def run(self, argv: Sequence[str], *, within: float = 60.0) -> ProgramResult: ...
    async def write_file(self, path: str, data: bytes) -> None: ...
    async def write_at(self, path: str, at: int, data: bytes) -> None: ...
    async def read_file(self, path: str, largest: int = 64 << 20) -> bytes: ...


class Agent:
    """A connection to the agent. Call :meth:`synchronise` first."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        turn: turns.Turn | None = None,
        window: Window | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = turn
        self._window = window

    async def synchronise(self, within: float = ANSWER) -> None:
        """Wait until the agent answers this very question (guest-sync-delimited).

        The agent need not run yet: the question waits in the port.

        Raises:
            Dom0Error: no answer within ``within`` seconds, or dom0 is gone.
        """
        ident = secrets.randbelow(1 << 30)
        question = {"execute": "guest-sync-delimited", "arguments": {"id": ident}}
        with agent_answers.explained("guest-sync-delimited", within):
            async with asyncio.timeout(within):
                self._send(question, before=b"\xff")
                while True:
                    await self._reader.readuntil(b"\xff")
                    if (await self._answer()).get("return") == ident:
                        return

    async def ask(
        self, command: str, arguments: Mapping[str, Any] | None = None, within: float = ANSWER
    ) -> Any:
        """The result of one of the agent's commands.

        Raises:
            Dom0Error: the agent refused it, did not answer in time, or its answer is malformed.
        """
        with agent_answers.explained(command, within):
            async with asyncio.timeout(within):
                self._send({"execute": command, "arguments": dict(arguments or {})})
                answer = await self._answer()
        if "return" not in answer:
            error = answer.get("error")
            words = error.get("desc", "") if isinstance(error, dict) else ""
            raise Dom0Error(f"dom0's agent refused {command}: {escape(str(words), limit=500)}")
        return answer["return"]

    async def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", within: float = 60.0
    ) -> ProgramResult:
        """Run a program in dom0 and wait for its end.

        Raises:
            Dom0Error: the program did not end within ``within`` seconds, or did not start.
        """
        result = await self.result(await self.begin(argv, stdin), argv, within)
        if result is None:
            raise Endless(argv, within)
        return result

    async def begin(self, argv: Sequence[str], stdin: bytes = b"") -> int:
        """Start a program in dom0. Returns its process id there.

        Raises:
            UsageError: dom0 has no such program.
        """
        request: dict[str, Any] = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        if stdin:
            request["input-data"] = base64.b64encode(stdin).decode()
        try:
            return agent_answers.number(await self.ask("guest-exec", request), "pid", 1 << 31)
        except Dom0Error as error:
            if "Failed to execute child process" in error.message:
                raise UsageError(f"dom0 has no program {quote(argv[0])}") from error
            raise

    async def result(self, pid: int, argv: Sequence[str], within: float) -> ProgramResult | None:
        """The result of a program; ``None`` if it did not end within ``within`` seconds."""
        answer = await self._ended(pid, Deadline(within))
        if answer is None:
            return None
        if answer.get("signal") is None:
            status = agent_answers.number(answer, "exitcode", 255)
        else:
            status = -agent_answers.number(answer, "signal", 127)
        out, err = (agent_answers.data(answer, name) for name in ("out-data", "err-data"))
        return ProgramResult(tuple(argv), status, out, err)

    async def write_file(self, path: str, data: bytes) -> None:
        """Write a file in dom0. Its folder must exist.

        Raises:
            Dom0Error: dom0 could not write it, for example because its memory is full.
        """
        room = self._window.size if self._window else 0
        if len(data) <= PIECE or not room:
            await self.write_in_messages(path, data)
            return
        for at in range(0, len(data), room):
            await self.write_at(path, at, data[at : at + room])

    async def write_at(self, path: str, at: int, data: bytes) -> None:
        """Write bytes of a file in dom0 from the offset ``at`` on; the file ends behind them.

        Raises:
            Dom0Error: dom0 could not write them.
        """
        if self._window:
            self._window.write(0, data)
        await self._lab_window(f"write {path}", ["in", path, str(at), str(len(data))])

    async def write_in_messages(self, path: str, data: bytes) -> None:
        """Write a file without the window. Slower, but a small file then needs no program."""
        handle = await self.ask("guest-file-open", {"path": path, "mode": "w"})
        deadline = Deadline(TRANSFER + len(data) / SLOWEST)
        try:
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE]
                request = {"handle": handle, "buf-b64": base64.b64encode(piece).decode()}
                written = await self.ask("guest-file-write", request, deadline.left())
                if agent_answers.number(written, "count", PIECE) != len(piece):
                    raise refused(f"dom0 took only a part of {path}", errno.ENOSPC)
        finally:
            await self.ask("guest-file-close", {"handle": handle})

    async def read_file(self, path: str, largest: int = 64 << 20) -> bytes:
        """Read the first ``largest`` bytes of a file in dom0."""
        found = bytearray()
        room = self._window.size if self._window else 0
        if not self._window or not room:
            return await self._read_in_messages(path, largest)
        self._window.reserve()
        while len(found) < largest:
            said = await self._lab_window(f"read {path}", ["out", path, str(len(found))])
            size = agent_answers.count(said, room)
            found += self._window.read(size)
            if size < room:
                break
        return bytes(found[:largest])

    async def _lab_window(self, what: str, words: Sequence[str]) -> bytes:
        result = await self.run(["lab-window", *words], within=TRANSFER)
        if result.status:
            raise refused(f"dom0 could not {what}", result.status)
        return result.stdout

    async def _read_in_messages(self, path: str, largest: int) -> bytes:
        handle = await self.ask("guest-file-open", {"path": path, "mode": "r"})
        found = bytearray()
        deadline = Deadline(TRANSFER + largest / SLOWEST)
        try:
            while len(found) < largest:
                wanted = {"handle": handle, "count": 2 * PIECE}
                piece = await self.ask("guest-file-read", wanted, deadline.left())
                more = agent_answers.data(piece, "buf-b64")
                found += more
                if not more or piece.get("eof"):
                    break
        finally:
            await self.ask("guest-file-close", {"handle": handle})
        return bytes(found[:largest])

    async def _ended(self, pid: int, deadline: Deadline) -> dict[str, Any] | None:
        pause = FIRST_PAUSE
        while True:
            answer = await self.ask("guest-exec-status", {"pid": pid})
            if not isinstance(answer, dict):
                raise Dom0Error("dom0's agent gave a malformed answer to guest-exec-status")
            if answer.get("exited"):
                return answer
            if deadline.passed():
                return None
            await asyncio.sleep(min(pause, deadline.left()))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _send(self, message: Mapping[str, Any], before: bytes = b"") -> None:
        self._writer.write(before + json.dumps(message).encode() + b"\n")

    async def _answer(self) -> dict[str, Any]:
        line = await self._reader.readuntil(b"\n")
        answer = reading.parse_json(line)
        if not isinstance(answer, dict):
            raise ValueError("not an object")
        return answer

    async def close(self) -> None:
        """End the connection, so that the next one can have the agent."""
        try:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        finally:
            if self._turn:
                self._turn.end()

    aclose = close
