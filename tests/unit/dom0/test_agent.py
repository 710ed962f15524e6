"""The client of dom0's agent against agents that stall, lie, flood and answer late."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from agents import Reply, but, good, line, talk

from lab.dom0 import agent as dom0
from lab.dom0 import connection
from lab.dom0.window import Window
from lab.errors import Dom0Error, UsageError


def test_a_program_runs(tmp_path: Path) -> None:
    """Its status and output come back."""
    result = talk(tmp_path, good, lambda agent: agent.run(["xl", "list"]))
    assert (result.argv, result.status, result.stdout) == (("xl", "list"), 3, b"said\n")


def test_a_signal_is_a_negative_status(tmp_path: Path) -> None:
    """If a signal ended a program, its status is minus the signal's number."""
    reply = but("guest-exec-status", line({"exited": True, "signal": 9}))
    assert talk(tmp_path, reply, lambda agent: agent.run(["x"])).status == -9


def test_an_agent_that_is_silent(tmp_path: Path) -> None:
    """If the synchronisation gets no answer in time, it is an error."""
    with pytest.raises(Dom0Error, match=r"within 0\.1 s"):
        talk(tmp_path, lambda _: None, lambda agent: agent.ask("x"), within=0.1)


def test_an_agent_that_stalls_later(tmp_path: Path) -> None:
    """A program that never ends is given up."""
    reply = but("guest-exec-status", line({"exited": False}))
    with pytest.raises(Dom0Error, match=r"'sleep' did not end in dom0 within 0\.2 s"):
        talk(tmp_path, reply, lambda agent: agent.run(["sleep"], within=0.2))


def test_a_late_answer_is_skipped(tmp_path: Path) -> None:
    """The answer to somebody else's question comes before ours, and does not count."""

    def reply(question: dict[str, Any]) -> bytes | None:
        late = line({"late": 1}) + b"\xff" + line(1) + b'{"half'
        return (late if "id" in question.get("arguments", {}) else b"") + (good(question) or b"")

    assert talk(tmp_path, reply, lambda agent: agent.run(["x"])).status == 3


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\xfe\n", b"[1, 2]\n", b'"words"\n', b"{}\n", b'{"return": 5}\n', b'{"return": {}}\n',
     b'{"return": {"pid": "7"}}\n', b'{"error": "no"}\n', b'{"error": {"desc": 5}}\n'],
)  # fmt: skip
def test_nonsense_is_an_error(tmp_path: Path, garbage: bytes) -> None:
    """Anything that is no answer is one error of dom0, and nothing else."""
    with pytest.raises(Dom0Error):
        talk(tmp_path, but("guest-exec", garbage), lambda agent: agent.run(["x"]))


def test_damaged_output_is_an_error(tmp_path: Path) -> None:
    """Output that is not base64 is nonsense, not a crash."""
    reply = but("guest-exec-status", line({"exited": True, "exitcode": 0, "out-data": "%%%"}))
    with pytest.raises(Dom0Error, match="malformed 'out-data'"):
        talk(tmp_path, reply, lambda agent: agent.run(["x"]))


def test_a_flood_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without end is not collected for ever."""
    monkeypatch.setattr(connection, "LARGEST_ANSWER", 1 << 16)
    with pytest.raises(Dom0Error, match="malformed"):
        talk(tmp_path, but("guest-exec", b"x" * (1 << 18)), lambda agent: agent.run(["x"]))


def test_megabytes_of_output_arrive(tmp_path: Path) -> None:
    """A large valid answer is read whole."""
    data = bytes(range(256)) * 20000
    said = {"exited": True, "exitcode": 0, "out-data": base64.b64encode(data).decode()}
    reply = but("guest-exec-status", line(said))
    assert talk(tmp_path, reply, lambda agent: agent.run(["x"])).stdout == data


@pytest.mark.parametrize("command", ["guest-sync-delimited", "guest-exec", "guest-exec-status"])
def test_dom0_goes_away(tmp_path: Path, command: str) -> None:
    """The end of the connection, at any time, is an error that says so."""
    with pytest.raises(Dom0Error, match="connection to dom0's agent ended"):
        talk(tmp_path, but(command, b"hang up"), lambda agent: agent.run(["x"]))


def test_nobody_listens(tmp_path: Path) -> None:
    """Without a socket: an error, not an exception of the operating system."""

    async def go() -> None:
        async with connection.connected(tmp_path / "none.sock"):
            raise AssertionError("somebody answered")

    with pytest.raises(Dom0Error, match="cannot be reached"):
        asyncio.run(go())


def test_a_program_that_dom0_lacks(tmp_path: Path) -> None:
    """That is the user's mistake, and the error names the program."""
    words = {"error": {"desc": "Failed to execute child process “nosuch” (No such file)"}}
    reply = but("guest-exec", json.dumps(words).encode() + b"\n")
    with pytest.raises(UsageError, match="'nosuch'"):
        talk(tmp_path, reply, lambda agent: agent.run(["nosuch"]))


def test_hostile_words_are_escaped(tmp_path: Path) -> None:
    """What dom0 says goes into an error only as escaped text."""
    words = json.dumps({"error": {"desc": "\x1b]0;owned\x07"}}).encode() + b"\n"
    with pytest.raises(Dom0Error) as caught:
        talk(tmp_path, but("guest-exec", words), lambda agent: agent.run(["x"]))
    assert "\x1b" not in str(caught.value)


def test_files_go_in_pieces(tmp_path: Path) -> None:
    """A whole file is written, in pieces that the agent can take."""
    seen = []

    def reply(question: dict[str, Any]) -> bytes | None:
        if question["execute"] == "guest-file-write":
            seen.append(len(base64.b64decode(question["arguments"]["buf-b64"])))
        return good(question)

    talk(tmp_path, reply, lambda agent: agent.write_file("/f", b"x" * (2 * dom0.PIECE + 5)))
    assert seen == [dom0.PIECE, dom0.PIECE, 5]


class LabWindow:
    """An agent whose only program is lab-window, with the only file of dom0."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.file = bytearray()
        self._said = b""
        self.status = 0
        self.made_up: bytes | None = None

    def __call__(self, question: dict[str, Any]) -> bytes | None:
        if question["execute"] == "guest-exec":
            self._run(*question["arguments"]["arg"])
        if question["execute"] != "guest-exec-status":
            return good(question)
        out = base64.b64encode(self._said).decode()
        return line({"exited": True, "exitcode": self.status, "out-data": out})

    def _run(self, way: str, path: str, offset: str, size: str = "") -> None:
        assert path == "/f"
        if way == "in":
            self.file[int(offset) :] = self.window.read(int(size))
        else:
            piece = bytes(self.file[int(offset) :][: self.window.size])
            self.window.write(0, piece)
            self._said = b"%d\n" % len(piece) if self.made_up is None else self.made_up


@pytest.fixture
def lab_window(tmp_path: Path) -> LabWindow:
    (tmp_path / "window").write_bytes(bytes(100_000))
    return LabWindow(Window(tmp_path / "window"))


def test_large_files_go_through_the_window(tmp_path: Path, lab_window: LabWindow) -> None:
    """In both directions, in pieces as large as the window; the agent only starts the program."""
    data = bytes(range(256)) * 900

    async def there_and_back(agent: dom0.Agent) -> bytes:
        await agent.write_file("/f", data)
        return await agent.read_file("/f")

    assert talk(tmp_path, lab_window, there_and_back, window=lab_window.window) == data
    assert lab_window.file == data


@pytest.mark.parametrize("said", [b"9" * 5000, b"1" * 30, b"-1", b"", b"\xb2", b"much"])
def test_a_size_that_dom0_made_up(tmp_path: Path, lab_window: LabWindow, said: bytes) -> None:
    """The size is not believed: the file ends, and has at most as much as was asked for."""
    lab_window.made_up = said
    lab_window.file[:] = b"x" * 300_000
    read = talk(tmp_path, lab_window, lambda agent: agent.read_file("/f", 250_000),
                window=lab_window.window)  # fmt: skip
    assert len(read) in (0, 250_000)


def test_a_full_dom0_says_so_through_the_window(tmp_path: Path, lab_window: LabWindow) -> None:
    """The program's status is errno; the message says what to do."""
    lab_window.status = errno.ENOSPC
    with pytest.raises(Dom0Error, match="No space left") as caught:
        talk(tmp_path, lab_window, lambda agent: agent.write_file("/f", b"x" * 99_999),
             window=lab_window.window)  # fmt: skip
    assert "memory is full" in caught.value.hint


def test_a_full_dom0_is_noticed(tmp_path: Path) -> None:
    """If a piece was not written whole, it is an error."""
    with pytest.raises(Dom0Error, match="memory is full"):
        talk(
            tmp_path,
            but("guest-file-write", line({"count": 1, "eof": False})),
            lambda agent: agent.write_file("/f", b"four"),
        )


def test_a_file_is_read(tmp_path: Path) -> None:
    """To its end, but no more than was asked for."""
    assert talk(tmp_path, good, lambda agent: agent.read_file("/f")) == b"data"
    assert talk(tmp_path, good, lambda agent: agent.read_file("/f", largest=2)) == b"da"


ANYTHING: list[Any] = [None, True, -1, 1 << 70, 0.5, "text", [], [1], {}, {"count": 1}, "A" * 70000]
FIELDS = ("pid", "exited", "exitcode", "signal", "out-data", "err-data", "count", "eof", "buf-b64")


def liar(seed: int) -> Reply:
    """An agent that synchronises and then answers anything: wrong types, huge, deep, or nothing."""
    rng = random.Random(seed)

    def reply(question: dict[str, Any]) -> bytes | None:
        if question["execute"] == "guest-sync-delimited" or rng.random() < 0.4:
            return good(question)
        match rng.randrange(6):
            case 0:
                return line({name: rng.choice(ANYTHING) for name in FIELDS if rng.random() < 0.6})
            case 1:
                return line(rng.choice(ANYTHING))
            case 2:
                return b"[" * 100_000 + b"\n"
            case 3:
                return rng.randbytes(300) + b"\n"
            case 4:
                return json.dumps({"error": rng.choice(ANYTHING)}).encode() + b"\n"
            case _:
                return None if rng.random() < 0.2 else b"hang up"

    return reply


@pytest.mark.parametrize("seed", range(50))
def test_agents_that_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Whatever it says, every question ends in time, with a result or with the one kind of
    error."""
    monkeypatch.setattr(dom0, "ANSWER", 0.3)
    monkeypatch.setattr(dom0, "TRANSFER", 0.3)
    reply = liar(seed)

    async def use(agent: dom0.Agent) -> None:
        match seed % 3:
            case 0:
                await agent.run(["xl", "list"], within=0.3)
            case 1:
                await agent.write_file("/x", b"data" * 50_000)
            case _:
                await agent.read_file("/x", largest=300_000)

    began = time.monotonic()
    with contextlib.suppress(Dom0Error):
        talk(tmp_path, reply, use)
    assert time.monotonic() - began < 12


def test_a_file_without_end_and_without_bytes(tmp_path: Path) -> None:
    """Pieces that are empty and never the last one do not keep the reader for ever."""
    reply = but("guest-file-read", line({"count": 0, "eof": False, "buf-b64": ""}))
    assert talk(tmp_path, reply, lambda agent: agent.read_file("/x")) == b""
