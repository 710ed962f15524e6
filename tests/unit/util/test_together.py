"""Work that is done side by side ends together, whichever part fails and whatever it waits for."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from lab.util import process, together
from lab.util.deadline import Deadline

LONG = ["sleep", "1000"]


def test_results_come_in_order() -> None:
    """Whichever is first; and no more at once than were asked for."""
    there, most = 0, 0
    guard = threading.Lock()

    def work(number: int) -> int:
        nonlocal there, most
        with guard:
            there += 1
            most = max(most, there)
        time.sleep(0.01 if number else 0.05)
        with guard:
            there -= 1
        return number

    assert together.all_of([partial(work, number) for number in range(5)], 2) == list(range(5))
    assert most == 2
    assert together.all_of([]) == []


def test_the_first_failure_ends_the_others() -> None:
    """Running programs end, also those of nested work; what has not begun never begins."""
    ended, begun = list[str](), threading.Event()

    def waits() -> None:
        begun.set()
        try:
            together.all_of([lambda: process.run(LONG, timeout=900)])
        except together.CalledOff:
            ended.append("waits")
            raise

    def fails() -> None:
        begun.wait(60)
        raise ValueError("the first")

    clock = Deadline(100)
    with pytest.raises(ValueError, match="the first"):
        together.all_of([waits, fails, lambda: ended.append("never")], 2)
    assert ended == ["waits"]
    assert not clock.passed()


def test_a_pipe_ends_with_its_work() -> None:
    """Both of its programs end."""
    begun = threading.Event()

    def pipe() -> None:
        begun.set()
        process.piped(LONG, LONG, timeout=900)

    def fails() -> None:
        begun.wait(60)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        together.all_of([pipe, fails])
    mine = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    assert [pid for pid in mine if process.title(int(pid)) == "sleep"] == []


def test_a_pipe_says_who_failed() -> None:
    """The first program is named only if the second one succeeded."""
    done = process.piped(["sh", "-c", "echo a; exit 3"], ["cat"])
    assert (done.argv[0], done.returncode) == ("sh", 3)
    done = process.piped(["sh", "-c", "echo wrong >&2; exit 3"], ["sh", "-c", "cat; exit 4"])
    assert (done.argv[-1], done.returncode, done.stderr) == ("cat; exit 4", 4, b"wrong\n")
    assert process.piped(["echo", "a"], ["grep", "a"]).returncode == 0
    with pytest.raises(process.TimedOut):
        process.piped(LONG, ["cat"], timeout=0.1)


INTERRUPTED = """
import sys
from lab.util import process, together
def work():
    sys.stdout.write("begun\\n")
    sys.stdout.flush()
    process.run(["sleep", "1000"], timeout=900)
try:
    together.all_of([work, work])
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_ends_all(root: Path) -> None:
    """At once, and nothing is left."""
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert child.stdout
    for _ in range(2):
        assert child.stdout.readline() == "begun\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=60)[0] == "interrupted\n"
    assert child.returncode == 0


def test_what_is_called_off_does_not_go_on() -> None:
    """Code that asks is told that it was cancelled."""
    together.go_on()
    begun = threading.Event()
    told = list[str]()

    def asks() -> None:
        begun.set()
        clock = Deadline(60)
        try:
            while not clock.passed():
                together.go_on()
        except together.CalledOff:
            told.append("called off")

    def fails() -> None:
        begun.wait(60)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        together.all_of([asks, fails])
    assert told == ["called off"]
