"""The one way to start programs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from lab.util import process, signals


def test_output_and_status_come_back() -> None:
    """Both outputs and the status, with no shell in between."""
    done = process.run(["sh", "-c", 'echo "$1"; echo err >&2; exit 7', "sh", "$HOME; a b"])
    assert (done.stdout, done.stderr, done.returncode) == (b"$HOME; a b\n", b"err\n", 7)


def test_standard_input_is_closed_or_given() -> None:
    """A program never waits for a person."""
    assert process.run(["cat"]).stdout == b""
    assert process.run(["cat"], options=process.Options(stdin=b"given")).stdout == b"given"


def test_the_environment_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program gets only the variables that were named."""
    monkeypatch.setenv("SECRET", "x")
    names = {
        line.partition(b"=")[0] for line in process.run(["env"], env={"A": "b"}).stdout.split()
    }
    assert b"SECRET" not in names
    assert {b"A", b"LC_ALL", b"TZ"} <= names


def test_no_such_program() -> None:
    """That is an error of its own, which callers explain."""
    with pytest.raises(FileNotFoundError):
        process.run(["no-such-program-here"])


def test_late_programs_end_with_their_children() -> None:
    """When the time is over, nothing of it runs any more, and its output is kept."""
    with pytest.raises(process.TimedOut) as caught:
        process.run(["sh", "-c", "echo begun; sleep 60 & echo $!; wait"], timeout=0.5)
    begun, child = caught.value.completed.stdout.split()
    assert begun == b"begun"
    end = time.monotonic() + 5
    while process.start_time(int(child)) is not None:
        assert time.monotonic() < end, "its child goes on"


def test_an_interrupt_ends_the_program(tmp_path: Path) -> None:
    """After Ctrl-C the program is gone when the exception arrives."""
    path = tmp_path / "pid"
    code = (
        "import os, sys; from lab.util import process, signals; signals.one_way_to_stop();"
        f"process.run(['sh', '-c', 'echo $$ > {path}.new; mv {path}.new {path}; sleep 60'])"
    )
    ours = process.spawn([sys.executable, "-c", code], log_to=(tmp_path / "log").open("wb"))
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end
    ours.send_signal(signal.SIGTERM)
    assert process.reap(ours, 10) == -signal.SIGINT
    assert process.start_time(int(path.read_text())) is None


def test_stopping_waits_while_cleaning_up() -> None:
    """A signal inside the block arrives right after it."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    steps = []
    try:
        with signals.held_back():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("cleaned up")
        steps.append("not interrupted")
    except KeyboardInterrupt:
        steps.append("interrupted")
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == ["cleaned up", "interrupted"]


def test_a_process_is_known_by_its_start() -> None:
    """The start time is there while it lives and not after; its arguments can be seen."""
    with Path(os.devnull).open("wb") as log:
        child = process.spawn(["sleep", "4711"], log_to=log)
    try:
        assert process.start_time(child.pid) is not None
        # The kernel shows a new program's arguments a moment after its start is reported.
        while [b"sleep", b"4711", b""] not in [argv for _, argv in process.running()]:
            assert child.poll() is None
    finally:
        child.kill()
    process.reap(child, 5)
    assert process.start_time(child.pid) is None


def test_runs_in_a_thread_too() -> None:
    """Programs can run side by side."""
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(process.run(["echo", "x"]).stdout))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [b"x\n"] * 4


def test_files_have_a_largest_size(tmp_path: Path) -> None:
    """A program that may write no more keeps running, and what it wrote before is there."""
    script = "dd if=/dev/zero of=$0 bs=1000 count=20; echo it lives"
    hold, go = os.pipe()
    with (tmp_path / "log").open("wb") as log:
        argv = ["sh", "-c", f"read _ </dev/fd/{hold}; {script}", str(tmp_path / "out")]
        child = process.spawn(argv, log_to=log, keep_fds=[hold])
    process.limit_files(child.pid, 12_500)
    os.write(go, b"\n")
    assert child.wait(20) == 0
    assert (tmp_path / "out").stat().st_size == 12_500
    assert "it lives" in (tmp_path / "log").read_text()


def test_people_hear_a_program_as_it_goes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both its outputs are messages for people, because standard output is for results. Its
    status counts."""
    argv = ["sh", "-c", "echo out; echo err >&2; exit 7"]
    assert process.attend(argv, env=os.environ, cwd=tmp_path) == 7
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.split() == ["out", "err"]


def test_lines_are_heard_as_they_come() -> None:
    """Both outputs, in order, while the program runs."""
    heard: list[str] = []
    done = process.follow(["sh", "-c", "echo a; echo b >&2; printf c"], heard.append)
    assert heard == ["a", "b", "c"]
    assert (done.returncode, done.stdout) == (0, b"a\nb\nc")


def test_who_is_followed_ends_in_time() -> None:
    """With its children; its output until then is there."""
    heard: list[str] = []
    with pytest.raises(process.TimedOut) as caught:
        process.follow(["sh", "-c", "echo a; sleep 60 & sleep 60"], heard.append, timeout=0.5)
    assert caught.value.completed.stdout == b"a\n"
