"""Commands that are forked are as those that are new programs; and nothing is lost without them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from lab import __version__
from lab.util import forking, process, waiting
from lab.web import commands, forked
from lab.web.commands import Commands
from lab.web.forked import Forked, Forks, Fresh

#: Seconds until what must happen has happened.
SOON = 60.0
#: A command that ends well, and one that has something to say before it ends.
WELL, LASTS = ["--version"], ["lab.status", "nosuch"]
#: What proc_pid_status(5) says of every process, and must say of both kinds of commands.
SAME = ("Umask", "Groups", "SigBlk", "SigIgn", "SigCgt", "Seccomp", "NoNewPrivs", "Threads")

Test = Callable[[Forks], Awaitable[None]]


def with_forks(test: Test) -> None:
    """Run a test with a process that is ready."""

    async def go() -> None:
        with forked.forks(commands.environment()) as forks:
            async with asyncio.timeout(SOON):
                await waiting.readable(forks.control.fileno())
                assert forks.ready
                await test(forks)

    asyncio.run(go())


def about(pid: int) -> dict[str, object]:
    """What the system says of a process, and may not depend on how it was started."""
    place = Path(f"/proc/{pid}")
    lines = (line.split(":") for line in (place / "status").read_text().splitlines())
    return {
        "leads": (os.getsid(pid) == pid, os.getpgid(pid) == pid),
        "folder": (place / "cwd").readlink(),
        "environment": (place / "environ").read_bytes(),
        "status": {words[0]: words[1].strip() for words in lines if words[0] in SAME},
        "limits": (place / "limits").read_text(),
        "files": [(place / "fd" / name).readlink() for name in "012"],
    }


@pytest.mark.parametrize(
    "words", [WELL, ["lab.status", "nosuch"], ["nosuch"], ["lab.up", "--nosuch"],
              ["--help"], []],
)  # fmt: skip
def test_both_kinds_say_the_same(tmp_path: Path, words: list[str]) -> None:
    async def test(forks: Forks) -> None:
        both = [await Commands(one).run(words, tmp_path / "labs.yaml") for one in (forks, None)]
        assert both[0] == both[1]
        assert both[0].said or both[0].well

    with_forks(test)


def test_both_kinds_are_the_same_to_the_system() -> None:
    """Their session, folder, environment, signals, limits and files are."""

    async def test(forks: Forks) -> None:
        seen: list[dict[str, object]] = []

        def look(pid: int) -> None:
            seen.append(about(pid))
            # Besides those: the socket on which it waits for the word to begin. It may still have
            # the handle of itself, which it has just sent.
            until(lambda: len([*Path(f"/proc/{pid}/fd").iterdir()]) == 4)

        with held() as (log, go_on):
            for _ in range(2):  # the second one has nothing of the first
                assert await forks.command(LASTS, log, look)
            assert seen[0] == seen[1]
            fresh = Fresh(LASTS, log, commands.environment())
            with contextlib.suppress(TimeoutError):
                until(lambda: about(fresh.pid) == seen[0])  # Python has begun
            assert about(fresh.pid) == seen[0]
            go_on()
            await fresh.ended()
            assert await fresh.status() == 2

    with_forks(test)


def test_limits_hold_before_it_begins(tmp_path: Path) -> None:
    """It cannot load or start anything without them."""

    async def test(forks: Forks) -> None:
        few = replace(commands.BUILD, memory=1 << 20)
        assert (await Commands(forks).run(["lab.list"], labs, commands.BUILD)).well
        done = await Commands(forks).run(["lab.list"], labs, few)
        assert not done.well
        late = replace(commands.BUILD, seconds=0)
        done = await Commands(forks).run(["lab.list"], labs, late)
        assert not done.well
        assert "took too long" in done.said

    labs = tmp_path / "labs.yaml"  # to read one takes more memory than the process has free
    labs.write_text("guests: {one: {freertos: app}}\nlabs: {hello: {guests: [one]}}\n")
    with_forks(test)


def test_its_arguments_are_shown_and_it_can_be_stopped() -> None:
    """Messages name a command by its arguments, and so does ps(1)."""

    async def test(forks: Forks) -> None:
        async with lasting(forks) as (command, go_on):
            while process.title(command.pid) != LASTS[0]:
                await asyncio.sleep(0)
            words = process.arguments(command.pid)[3:5]
            assert words == [os.fsencode(word) for word in LASTS]
            command.terminate()
            go_on()
            await command.ended()
            assert await command.status() in (-signal.SIGTERM, 130)

    with_forks(test)


def test_the_status_of_one_that_was_killed_before_it_began(tmp_path: Path) -> None:
    """It has not taken the word to begin then."""

    async def test(forks: Forks) -> None:
        def stop(pid: int) -> None:
            os.kill(pid, signal.SIGSTOP)

        with (tmp_path / "log").open("wb") as log:
            command = await forks.command(WELL, log, stop)
            assert command
            os.kill(command.pid, signal.SIGKILL)
            await command.ended()
            assert await command.status() == -signal.SIGKILL
            command.close()

    with_forks(test)


def test_without_a_parent_commands_are_new_programs(tmp_path: Path) -> None:
    """It has died: the command is run all the same."""

    async def test(forks: Forks) -> None:
        die(forks)
        done = await Commands(forks).run(["lab.status", "nosuch"], tmp_path / "labs.yaml")
        assert (done.status, "no such file" in done.said) == (2, True)
        assert not forks.ready
        with tempfile.TemporaryFile() as log:
            assert await forks.command(WELL, log, nothing) is None

    with_forks(test)


def test_a_parent_that_died_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next command is a new program, and one after it is forked again. One that always dies at
    once is not begun in a loop."""

    async def test(forks: Forks) -> None:
        with tempfile.TemporaryFile() as log:
            first = forks.pid
            forking.order(forks.control, WELL, log.fileno(), forks.control)
            die(forks)
            monkeypatch.setattr(forked, "AGAIN", SOON * 60)
            assert await forks.command(WELL, log, nothing) is None
            assert forks.pid == first, "too soon"
            monkeypatch.setattr(forked, "AGAIN", 0.0)
            assert await forks.command(WELL, log, nothing) is None
            assert forks.pid != first
            assert not Path(f"/proc/{first}").exists(), "it was waited for"
            await waiting.readable(forks.control.fileno())
            command = await forks.command(WELL, log, nothing)
            assert command
            await command.ended()
            assert await command.status() == 0
            command.close()

    with_forks(test)


def test_a_child_that_answers_too_late_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command is run otherwise then."""

    async def test(forks: Forks) -> None:
        os.kill(forks.pid, signal.SIGSTOP)
        monkeypatch.setattr(forked, "ANSWERS", 0.0)
        with tempfile.TemporaryFile() as log:
            assert await forks.command(WELL, log, nothing) is None
            monkeypatch.setattr(forked, "ANSWERS", SOON)
            os.kill(forks.pid, signal.SIGCONT)
            command = await forks.command(WELL, log, nothing)
            assert command
            await command.ended()
            assert await command.status() == 0
            while children(forks.pid):
                await asyncio.sleep(0)
            assert log.tell() == len(f"xenlab {__version__}\n"), "one of them said its words"

    with_forks(test)


def test_a_command_goes_on_without_the_parent() -> None:
    """Only how it ended is not known then."""

    async def test(forks: Forks) -> None:
        async with lasting(forks) as (command, go_on):
            die(forks)
            assert process.state(command.pid)
            go_on()
            await command.ended()
            assert await command.status() is None

    with_forks(test)


def test_it_ends_when_nobody_can_ask_it_any_more() -> None:
    """As when the server is killed: the system closes its end of the socket."""

    async def test(forks: Forks) -> None:
        forks.control.close()
        await waiting.ends(forks.pid)

    with_forks(test)


@contextlib.asynccontextmanager
async def lasting(forks: Forks) -> AsyncIterator[tuple[Forked, Callable[[], None]]]:
    """A command that waits before it says anything; and what lets it go on."""
    with held() as (log, go_on):
        command = await forks.command(LASTS, log, nothing)
        assert command
        with contextlib.closing(command):
            yield command, go_on


def until(true: Callable[[], bool]) -> None:
    """Wait for something in another process of which nobody tells us."""
    late = time.monotonic() + SOON / 2
    while not true():
        if time.monotonic() > late:
            raise TimeoutError
        time.sleep(0.001)


def die(forks: Forks) -> None:
    """The process of which commands are forked is killed; nobody has waited for it."""
    os.kill(forks.pid, signal.SIGKILL)
    os.waitid(os.P_PID, forks.pid, os.WEXITED | os.WNOWAIT)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def nothing(_: int) -> None:
    """Limits nothing."""


@contextlib.contextmanager
def held() -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
    """A pipe that takes nothing, so that who says something waits; and what lets it go on."""
    out, into = os.pipe()
    with os.fdopen(into, "wb", buffering=0) as log, os.fdopen(out, "rb", buffering=0) as reader:
        os.set_blocking(into, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(into, bytes(4096))
        os.set_blocking(into, True)

        def drain() -> None:
            os.set_blocking(out, False)
            reader.read(1 << 20)

        yield log, drain
