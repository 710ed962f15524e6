"""The first signal ends a command, whatever it waits for; the second one is not needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.util import files, signals

#: Seconds within which a command has ended: the time that an orderly end has, and this
#: machine's own slowness.
SOON = signals.PATIENCE + 10

HEAD = """
import asyncio, os, sys, threading, time
from pathlib import Path
from lab.util import files, process, reading, signals, waiting
signals.one_way_to_stop()
place = Path(sys.argv[1])

def begun():
    print("begun", flush=True)

def block():
    begun()
    os.open(place / "fifo", os.O_RDONLY)

def count():
    begun()
    while True:
        waiting.go_on()

def ended():
    begun()
    try:
        while True:
            waiting.go_on()
    finally:
        (place / "cleaned").touch()

async def blocked():
    block()

async def stubborn():
    begun()
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def orderly():
    begun()
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.1)
        (place / "cleaned").touch()

async def in_thread(work):
    await waiting.in_thread(work)
"""
#: What is waited for → what a command does, and whether it cleans up.
WAITS = {
    "a loop that hangs in open(2)": ("signals.run(blocked())", False),
    "open(2)": ("block()", False),
    "a task that does not end": ("signals.run(stubborn())", False),
    "a task that ends in order": ("signals.run(orderly())", True),
    "a thread that counts": ("signals.run(in_thread(count))", False),
    "a thread that cleans up": ("signals.run(in_thread(ended))", True),
    "a thread that hangs in open(2)": ("signals.run(in_thread(block))", False),
    "a lock that a thread waits for": (
        "def wait():\n with files.locked(place / 'lock', begun): pass\n"
        "signals.run(in_thread(wait))",
        False,
    ),
    "a lock": ("with files.locked(place / 'lock', begun): pass", False),
    "a program": ("begun(); process.run(['sleep', '60'])", False),
    "a file that is hashed": ("begun(); files.sha256_file(place / 'large')", False),
    "two loops": ("async def f(): pass\nsignals.run(f()); signals.run(stubborn())", False),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("what", WAITS)
def test_the_first_signal_ends_it(tmp_path: Path, what: str, number: signal.Signals) -> None:
    code, cleans = WAITS[what]
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(1 << 40)
    held = somebodys(tmp_path / "lock")
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", HEAD + code, str(tmp_path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert child.stdout
        assert child.stdout.readline() == "begun\n"
        time.sleep(0.1)  # until it is really at it; earlier is right, too
        before = time.monotonic()
        child.send_signal(number)
        try:
            err = child.communicate(timeout=SOON)[1]
        finally:
            child.kill()
    finally:
        os.close(held)
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    assert "never retrieved" not in err
    assert time.monotonic() - before < SOON
    assert (tmp_path / "cleaned").exists() == cleans


#: An event loop of which half is made when the signal comes.
HALF = """
class Half(asyncio.SelectorEventLoop):
    def _make_self_pipe(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        super()._make_self_pipe()

import signal
asyncio.DefaultEventLoopPolicy._loop_factory = Half
signals.run(stubborn())
"""


def test_a_signal_while_a_loop_is_made(tmp_path: Path) -> None:
    """The signal waits until the loop is complete: there is no message about a half-made loop,
    or about what should have run in it."""
    argv = [sys.executable, "-c", HEAD + HALF, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.rstrip().endswith("KeyboardInterrupt"), done.stderr
    assert "Exception ignored" not in done.stderr
    assert "never awaited" not in done.stderr
    assert done.stdout == ""


def somebodys(path: Path) -> int:
    """A lock that another process holds."""
    handle = files.try_lock(path)
    assert handle is not None
    return handle


def test_what_others_set_is_left_alone() -> None:
    """A program with its own handlers keeps them, also while its labs do something."""
    before = signal.getsignal(signal.SIGINT)
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))

    async def go() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "done"

    try:
        assert signals.run(go()) == "done"
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]


def test_a_signal_just_after_a_loop_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes before the usual handler is there again, and is not lost."""
    whole = signals._Stop.over

    def over(stop: signals._Stop) -> None:
        whole(stop)
        signal.raise_signal(signal.SIGINT)

    async def go() -> None:
        return

    monkeypatch.setattr(signals._Stop, "over", over)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            signals.run(go())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_changes_without_a_signal() -> None:
    before = signal.getsignal(signal.SIGINT)

    async def go(*, fails: bool) -> str:
        if fails:
            raise ValueError("x")
        return "done"

    assert signals.run(go(fails=False)) == "done"
    with pytest.raises(ValueError, match="x"):
        signals.run(go(fails=True))
    assert signal.getsignal(signal.SIGINT) is before
