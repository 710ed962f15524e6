"""One at a time: turns between processes, tasks and threads, with real locks and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import BusyError, MachineError
from lab.util import process, sockets, turns, waiting

#: Takes turns on a file again and again, noting its number each time; says when it begins.
CROWD = """
import asyncio, sys
from pathlib import Path
from lab.util import turns
path, number, times, held = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
async def go():
    for _ in range(times):
        turn = await turns.take(path, "the pen", 60.0)
        before = path.with_name("log").read_text()
        await asyncio.sleep(held)
        path.with_name("log").write_text(f"{before}{number}")  # two at once would lose one
        turn.end()
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(go())
"""
#: Takes a turn, says so, and keeps it until its end.
KEEPER = """
import asyncio, sys
from pathlib import Path
from lab.util import turns
turn = asyncio.run(turns.take(Path(sys.argv[1]), "the pen", 60.0))
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def pen(tmp_path: Path) -> Path:
    return tmp_path / "pen.lock"


def said(child: subprocess.Popen[bytes]) -> bytes:
    """The next line that it prints."""
    assert child.stdout
    return child.stdout.readline()


@contextlib.contextmanager
def keeper(pen: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the turn."""
    argv = [sys.executable, "-c", KEEPER, str(pen)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as found:
        try:
            assert said(found) == b"held\n"
            yield found
        finally:
            found.kill()


def test_every_one_of_a_crowd_has_its_turns(pen: Path, tmp_path: Path) -> None:
    """Six processes, five turns each: none is lost, and nobody has all turns before the others."""
    (tmp_path / "log").write_text("")
    argv, pipe = [sys.executable, "-c", CROWD, str(pen)], subprocess.PIPE
    crowd = [
        subprocess.Popen([*argv, str(number), "5", "0.01"], stdin=pipe, stdout=pipe)
        for number in range(6)
    ]
    for one in crowd:
        assert said(one) == b"ready\n"
    for one in crowd:
        assert one.stdin
        one.stdin.write(b"\n")
        one.stdin.flush()
    assert [one.wait(60) for one in crowd] == [0] * 6
    log = (tmp_path / "log").read_text()
    assert sorted(log) == sorted("012345" * 5)
    assert len(set(log[:15])) > 1, f"somebody was kept waiting by one: {log}"


def test_who_has_it_is_named(pen: Path) -> None:
    """A wait without success ends in time, and names the process, its task and for how long."""
    with keeper(pen) as other:
        began = time.monotonic()
        with pytest.raises(BusyError, match=rf"the pen .* process {other.pid} \(.*\), for \d+ s"):
            asyncio.run(turns.take(pen, "the pen", 0.3))
        assert 0.3 <= time.monotonic() - began < 5
        with (
            pytest.raises(BusyError, match=r"gave up waiting after 0\.1 s"),
            turns.taken(pen, "it", 0.1),
        ):
            pass


def test_a_stopped_holder_is_called_stopped(pen: Path) -> None:
    """After Ctrl-Z in one terminal, the command in another one is told why it waits."""
    with keeper(pen) as other:
        other.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
        with pytest.raises(BusyError, match="which is stopped") as caught:
            asyncio.run(turns.take(pen, "the pen", 0.1))
        assert f"kill -CONT {other.pid}" in caught.value.hint


def test_a_killed_holder_keeps_nobody(pen: Path) -> None:
    """The lock ends with its process; the next one has the turn at once."""

    async def go(other: subprocess.Popen[bytes]) -> None:
        waits = asyncio.create_task(turns.take(pen, "the pen", 30.0))
        await asyncio.sleep(0.05)
        other.kill()
        (await waits).end()

    with keeper(pen) as other:
        asyncio.run(go(other))
    assert turns.holder(pen) is None


def test_who_gives_up_leaves_no_lock(pen: Path) -> None:
    """A cancelled wait takes nothing when its turn comes later."""

    async def go() -> None:
        first = await turns.take(pen, "the pen", 1.0)
        waits = asyncio.create_task(turns.take(pen, "the pen", 30.0))
        await asyncio.sleep(0.05)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        assert waits.cancelled()
        first.end()
        (await turns.take(pen, "the pen", 5.0)).end()

    asyncio.run(go())


def test_an_interrupt_ends_a_wait_without_asyncio(pen: Path) -> None:
    """Ctrl-C reaches a block that waits for its turn."""
    with keeper(pen):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), turns.taken(pen, "the pen", 30.0):
            pass
        assert time.monotonic() - began < 2


def test_threads_and_tasks_of_one_process_take_turns_too(pen: Path) -> None:
    async def use(now: list[int]) -> None:
        turn = await turns.take(pen, "the pen", 30.0)
        now.append(1)
        assert len(now) == 1
        await asyncio.sleep(0.001)
        now.pop()
        turn.end()

    async def crowd(now: list[int]) -> None:
        await asyncio.gather(*(use(now) for _ in range(10)))

    now: list[int] = []
    threads = [threading.Thread(target=asyncio.run, args=(crowd(now),)) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
        assert not one.is_alive()


def test_two_turns_one_after_the_other_never_wait_for_each_other(tmp_path: Path) -> None:
    """If the folder disappears, the error says so; nobody gets a turn on nothing."""
    folder = tmp_path / "lab"
    folder.mkdir()

    async def go() -> None:
        first = await turns.take(folder / "a.lock", "the agent", 1.0)
        waits = asyncio.create_task(turns.take(folder / "a.lock", "the agent", 30.0))
        await asyncio.sleep(0.05)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        first.end()
        with pytest.raises(MachineError, match="the agent disappeared"):
            await waits

    asyncio.run(go())


@pytest.mark.parametrize("how", ["link", "fifo", "folder"])
def test_what_is_no_file_locks_nobody(pen: Path, tmp_path: Path, how: str) -> None:
    """A QEMU that a guest has taken over may put anything there: nothing is written, and nothing
    hangs."""
    precious = tmp_path / "precious"
    precious.write_text("kept")
    if how == "link":
        pen.symlink_to(precious)
    elif how == "fifo":
        os.mkfifo(pen)
    else:
        pen.mkdir()
    with pytest.raises(OSError, match=r"not a regular|symbolic links|Is a directory"):
        asyncio.run(turns.take(pen, "the pen", 1.0))
    assert turns.holder(pen) is None
    assert precious.read_text() == "kept"


def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    """connect(2) says EAGAIN; the connection is made as soon as there is room."""
    path = tmp_path / "s"

    async def go() -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen(0)
            first = await sockets.connect(path, 1.0)
            with pytest.raises(TimeoutError):
                await sockets.connect(path, 0.1)
            waits = asyncio.create_task(sockets.connect(path, 30.0))
            await asyncio.sleep(0.05)
            assert not waits.done()
            accepted = [server.accept()[0] for _ in range(1)]
            second = await waits
            accepted.append(server.accept()[0])
            second.setblocking(True)
            second.sendall(b"x")
            assert accepted[-1].recv(1) == b"x"
            for one in (first, second, *accepted):
                one.close()

    asyncio.run(go())


def test_cancelling_ends_a_wait_in_a_thread_at_once() -> None:
    """The thread's late result is undone, not lost."""
    gate, undone = threading.Event(), threading.Event()

    async def go() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await waiting.in_job(lambda: gate.wait(30), lambda _: undone.set())

    began = time.monotonic()
    asyncio.run(go())
    assert time.monotonic() - began < 5
    gate.set()
    assert undone.wait(10)


def test_a_process_has_a_title() -> None:
    """The task as it was typed, or the program; harmless to print."""
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    for words, title in (
        (["lab.exec", "hello", "true"], "lab.exec"),
        (["/tmp/x/try.py", "a"], "try.py"),
        (["\x1b[2Jtry.py"], "\\x1b[2Jtry.py"),
    ):
        argv = [sys.executable, "-c", code, *words]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert said(child) == b"ready\n"
            assert process.title(child.pid) == title
            child.kill()
    assert process.title(1 << 30) == "unknown"
