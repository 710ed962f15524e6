"""Room for labs is given out once, waited for, and free again however its holder ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import rundir
from lab.errors import BusyError
from lab.run import slots
from lab.run.slots import Room
from lab.util import together

ONE, LIMIT = Room(1, 1 << 30), Room(2, 4 << 30)
#: Takes a slot, says so, and holds it until a line comes on its standard input.
HOLDER = """
import sys
from lab.run import slots
from lab.run.slots import Room
with slots.taken(Room(2, 1 << 30), Room(2, 4 << 30), "lab other (somebody)", 5.0):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "runtime_root", lambda: _made(tmp_path / "xenlab"))


def _made(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    return path


@pytest.fixture
def other() -> subprocess.Popen[str]:
    """Another process that holds all processors."""
    return _child(HOLDER)


def _child(text: str) -> subprocess.Popen[str]:
    """Another process that holds something."""
    base = rundir.runtime_root()
    code = f"from lab import rundir\nfrom pathlib import Path\n\
rundir.runtime_root = lambda: Path({str(base)!r})\n{text}"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    return child


def test_what_fits_is_given_at_once() -> None:
    with slots.taken(ONE, LIMIT, "a", 0), slots.taken(ONE, LIMIT, "b", 0):
        assert sorted(one.what for one in slots.held()) == ["a", "b"]
    assert slots.held() == []


@pytest.mark.parametrize("wanted", [Room(2, 1 << 30), Room(1, 4 << 30)])
def test_more_than_there_is_left_is_refused_by_name(wanted: Room) -> None:
    """A process does not wait for room that it holds itself: nobody else could free it."""
    start = time.monotonic()
    with (
        slots.taken(ONE, LIMIT, "lab hello", 0),
        pytest.raises(BusyError) as refused,
        slots.taken(wanted, LIMIT, "lab big", 100),
    ):
        pass
    assert time.monotonic() - start < 5
    words = str(refused.value)
    assert "no room for lab big" in words
    assert f"lab hello (process {os.getpid()})" in words


def test_a_lab_that_wants_more_than_there_is_runs_alone() -> None:
    with slots.taken(Room(16, 1 << 40), LIMIT, "huge", 0):
        assert len(slots.held()) == 1


def test_others_are_waited_for_but_not_for_ever(other: subprocess.Popen[str]) -> None:
    try:
        with (
            pytest.raises(BusyError, match=r"for 0\.2 s; taken by lab other \(somebody\)"),
            slots.taken(ONE, LIMIT, "mine", 0.2),
        ):
            pass
    finally:
        other.communicate("enough\n")


def test_who_waits_is_told_who_has_it(other: subprocess.Popen[str]) -> None:
    """The context is entered while there is no room, and left as soon as there is some."""
    seen: list[str] = []

    @contextlib.contextmanager
    def waits(holders: str) -> Iterator[None]:
        seen.append(holders)
        assert other.stdin
        other.stdin.write("enough\n")
        other.stdin.flush()
        yield
        seen.append("over")

    with slots.taken(ONE, LIMIT, "mine", 60.0, waits):
        assert seen == [f"lab other (somebody) (process {other.pid})", "over"]
    other.communicate()


#: Has one processor of two, and wants two.
GREEDY = """
import sys
from lab.run import slots
from lab.errors import BusyError
from lab.run.slots import Room
one, all_ = Room(1, 1 << 30), Room(2, 4 << 30)
with slots.taken(one, all_, "kept", 5.0):
    print("held", flush=True)
    sys.stdin.readline()
    try:
        with slots.taken(one, all_, "another", 60.0):
            print("had another", flush=True)
    except BusyError as error:
        print(error.message, flush=True)
"""


def test_who_waits_for_each_other_is_told_at_once() -> None:
    """Each of two workers keeps one lab and wants another. Neither waits until its time is over:
    the second one gets an error at once, and when it gives up, the first one gets its room."""
    start, children = time.monotonic(), []
    for _ in range(2):
        child = _child(GREEDY)
        children.append(child)
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    said = sorted(child.communicate()[0].strip() for child in children)
    assert "had another" in said
    assert any("every process that has room waits for more" in one for one in said)
    assert time.monotonic() - start < 40
    assert list(slots._folder().iterdir()) == []


def test_threads_of_one_process_wait_for_each_other() -> None:
    """A thread that has room does not wait, so it will give it back."""
    waited = threading.Event()

    @contextlib.contextmanager
    def waits(_: str) -> Iterator[None]:
        waited.set()
        yield

    def first() -> None:
        with slots.taken(Room(2, 1), LIMIT, "first", 60):
            begun.set()
            waited.wait(60)

    def second() -> bool:
        begun.wait(60)
        with slots.taken(ONE, LIMIT, "second", 60, waits):
            return True

    begun = threading.Event()
    assert together.all_of([first, second]) == [None, True]


def test_a_wait_for_room_can_be_called_off(other: subprocess.Popen[str]) -> None:
    """At once: another job has failed, or Ctrl-C came."""
    waited = threading.Event()

    @contextlib.contextmanager
    def waits(_: str) -> Iterator[None]:
        waited.set()
        yield

    def wants() -> None:
        with slots.taken(ONE, LIMIT, "mine", 600, waits):
            pass

    def fails() -> None:
        waited.wait(60)
        raise ValueError("another job")

    start = time.monotonic()
    with pytest.raises(ValueError, match="another job"):
        together.all_of([wants, fails])
    assert time.monotonic() - start < together.END_SECONDS
    other.communicate("enough\n")
    assert list(slots._folder().iterdir()) == []


@pytest.mark.parametrize("how", ["it is done", "it is killed"])
def test_room_is_there_as_soon_as_its_holder_is_gone(
    other: subprocess.Popen[str], how: str
) -> None:
    """A killed process leaves its file, but nobody waits for it."""
    assert other.stdin
    if how == "it is done":
        other.stdin.write("enough\n")
        other.stdin.flush()
    else:
        other.send_signal(signal.SIGKILL)
    start = time.monotonic()
    with slots.taken(ONE, LIMIT, "mine", 30):
        assert time.monotonic() - start < 10
        assert [one.what for one in slots.held()] == ["mine"]
    other.communicate()


def test_nonsense_in_the_folder_is_removed() -> None:
    (slots._folder() / "junk").write_text("{")
    assert slots.held() == []
    assert list(slots._folder().iterdir()) == []


def test_who_waits_is_told_of_each_process_once(other: subprocess.Popen[str]) -> None:
    class Told(Exception):
        """Who has room."""

    def waits(holders: str) -> contextlib.AbstractContextManager[None]:
        raise Told(holders)

    wide, me = Room(4, 4 << 30), os.getpid()
    with (
        slots.taken(ONE, wide, "lab a", 0),
        slots.taken(ONE, wide, "lab b", 0),
        pytest.raises(Told) as told,
        slots.taken(ONE, wide, "lab c", 5, waits),
    ):
        pass
    other.communicate("enough\n")
    words = str(told.value).split("; ")
    assert set(words) <= {
        f"lab a and 1 more (process {me})", f"lab b and 1 more (process {me})",
        f"lab other (somebody) (process {other.pid})",
    }  # fmt: skip
    assert len(words) == 2


def test_one_that_is_being_written_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks meanwhile waits until it is complete."""
    written, looked, seen = Path.write_text, threading.Event(), []

    def slowly(path: Path, text: str) -> int:
        path.touch()
        looker.start()
        looked.wait(0.3)  # without a lock it looks now
        return written(path, text)

    def look() -> None:
        seen.extend(slots.held())
        looked.set()

    looker = threading.Thread(target=look)
    monkeypatch.setattr(Path, "write_text", slowly)
    with slots.taken(ONE, LIMIT, "a", 5.0):
        looker.join()
        assert [one.what for one in seen] == ["a"]
