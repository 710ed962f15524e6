"""The one door to subprocesses.

It takes lists of arguments and never uses a shell. Standard input is closed and the environment is
small. Each call logs a line that can be pasted. Any exception ends the whole process group.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from lab.model import Completed
from lab.util import bounded, lending, proc, signals, together
from lab.util.deadline import Deadline
from lab.util.environment import KEPT_ENVIRONMENT, environment
from lab.util.proc import arguments, boot_id, is_stopped, running, start_time, state, title

__all__ = [
    "KEPT_ENVIRONMENT", "Child", "Options", "TimedOut", "arguments", "attend", "boot_id",
    "end_group", "environment", "follow", "is_stopped", "on_pty", "on_terminal", "piped",
    "reap", "run", "running", "spawn", "start_time", "state", "title",
]  # fmt: skip

end_group, limit_files = proc.end_group, proc.limit_files
#: A program that we started, as our child.
Child = subprocess.Popen[bytes]

log = logging.getLogger("lab.process")

#: Seconds to read the rest when a program has ended: what it left running may still write.
REST_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """What only few programs need.

    Attributes:
        stdin: what the program reads; without it, standard input is empty.
        stdout: a file that takes the output instead of memory.
        keep_fds: descriptors that the program inherits.
        most: how many bytes of its output and of its errors are kept; 0: all. Without ``stdin``.
        grace: seconds that it has to end by itself when we are interrupted, before it is killed.
    """

    stdin: bytes = b""
    stdout: IO[bytes] | None = None
    keep_fds: Sequence[int] = ()
    most: int = 0
    grace: float = 0.0


USUAL = Options()


class TimedOut(Exception):
    """A program took too long. ``completed`` has what it wrote until then."""

    def __init__(self, completed: Completed) -> None:
        super().__init__(f"{completed.argv[0]} took longer than allowed")
        self.completed = completed


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300.0,
    options: Options = USUAL,
) -> Completed:
    """Run a program to its end and return what it wrote, whatever its exit status.

    Raises:
        FileNotFoundError: there is no such program.
        TimedOut: it ran longer than ``timeout`` seconds; it and its children are gone.
    """
    log.debug("run: %s", shlex.join(argv))
    clock = Deadline(timeout)
    process: Child | None = None
    try:
        with signals.held_back():  # an interrupt in between would leave it running
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=environment(env),
                stdin=subprocess.PIPE if options.stdin else subprocess.DEVNULL,
                stdout=options.stdout or subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=tuple(options.keep_fds),
                start_new_session=True,
            )
        with together.ended_by(partial(end_group, process.pid)):
            if options.most:
                out, err = bounded.communicate(process, timeout, options.most)
            else:
                out, err = process.communicate(options.stdin or None, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        assert process
        end_group(process.pid)
        out, err = process.communicate()
        said = out or late.output, err or late.stderr
        raise TimedOut(_completed(argv, process, *said, clock)) from None
    except BaseException:
        if process:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                if options.grace:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(options.grace)
            end_group(process.pid)
            process.wait()
        raise
    return _completed(argv, process, out, err, clock)


def piped(first: Sequence[str], second: Sequence[str], *, timeout: float = 300.0) -> Completed:
    """Run two programs; the output of the first is the input of the second.

    Returns the one that failed, else the second. Its ``stderr`` is what both of them wrote.

    Raises:
        FileNotFoundError: there is no such program.
        TimedOut: they ran longer than ``timeout`` seconds; they are gone.
    """
    log.debug("run: %s | %s", shlex.join(first), shlex.join(second))
    clock = Deadline(timeout)
    children: list[Child] = []
    with tempfile.TemporaryFile() as words, together.ended_by(lambda: _end_all(children)):
        try:
            with signals.held_back():
                children.append(_piece(first, subprocess.DEVNULL, subprocess.PIPE, words))
                children.append(_piece(second, children[0].stdout, words, words))
            assert children[0].stdout
            children[0].stdout.close()  # else the first would not notice the second one's end
            late = any(reap(child, clock.left()) is None for child in reversed(children))
        finally:
            _end_all(children)
            for child in children:
                child.wait()
        words.seek(0)
        said = words.read()
    second_failed = children[1].returncode or not children[0].returncode
    argv, child = (second, children[1]) if second_failed else (first, children[0])
    done = _completed(argv, child, b"", said, clock)
    if late:
        raise TimedOut(done)
    return done


def _piece(
    argv: Sequence[str], stdin: IO[bytes] | int | None, stdout: IO[bytes] | int, words: IO[bytes]
) -> Child:
    return subprocess.Popen(
        argv, env=environment(), stdin=stdin, stdout=stdout, stderr=words, start_new_session=True
    )


def _end_all(children: Sequence[Child]) -> None:
    for child in children:
        if child.poll() is None:
            end_group(child.pid)


def follow(
    argv: Sequence[str],
    line: Callable[[str], None],
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 300.0,
    keep_fds: Sequence[int] = (),
) -> Completed:
    """Run a program to its end. Another thread calls ``line`` with each line that it writes.

    Its standard error is part of its output.

    Raises:
        FileNotFoundError: there is no such program.
        TimedOut: it ran longer than ``timeout`` seconds; it and its children are gone.
    """
    log.debug("follow: %s", shlex.join(argv))
    clock = Deadline(timeout)
    process = subprocess.Popen(
        list(argv),
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(keep_fds),
        start_new_session=True,
    )
    said: list[bytes] = []
    reader = threading.Thread(target=_read_lines, args=(process, said, line), daemon=True)
    reader.start()
    try:
        with together.ended_by(partial(end_group, process.pid)):
            process.wait(timeout)
            reader.join(REST_SECONDS)
    except subprocess.TimeoutExpired:
        end_group(process.pid)
        process.wait()
        reader.join(REST_SECONDS)
        raise TimedOut(_completed(argv, process, b"".join(said), b"", clock)) from None
    except BaseException:
        end_group(process.pid)
        process.wait()
        raise
    return _completed(argv, process, b"".join(said), b"", clock)


def _read_lines(process: Child, said: list[bytes], line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    with process.stdout as stream:
        for one in stream:
            said.append(one)
            line(one.decode(errors="replace").rstrip("\r\n"))


def spawn(
    argv: Sequence[str],
    *,
    log_to: IO[bytes],
    env: Mapping[str, str] | None = None,
    keep_fds: Sequence[int] = (),
) -> Child:
    """Start a program that keeps running when this process ends. Its output goes to ``log_to``.

    SIGXFSZ stays ignored, as in Python, so a file that may not grow does not end it.
    """
    log.debug("spawn: %s", shlex.join(argv))
    return subprocess.Popen(
        list(argv),
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=log_to,
        stderr=log_to,
        pass_fds=tuple(keep_fds),
        start_new_session=True,
        restore_signals=False,
    )


def attend(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
    """Run a program for people, with our standard error and whole environment, and no timeout.
    Returns the exit status."""
    log.debug("attend: %s", shlex.join(argv))
    with subprocess.Popen(
        list(argv), cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=sys.stderr
    ) as child:
        try:
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise


@contextlib.contextmanager
def on_terminal(argv: list[str]) -> Iterator[Child]:
    """A program that has our terminal while the block runs, and Ctrl-C once it unblocks SIGINT."""
    with lending.lent():
        with lending.ctrl_c_later():
            line = lending.Lifeline()
            child = subprocess.Popen(argv, env=environment(), pass_fds=[line.theirs])
        try:
            yield child
        finally:
            line.end(child)


def on_pty(argv: Sequence[str], slave: int, *, env: Mapping[str, str]) -> Child:
    """Start a program that leads a session on the terminal ``slave`` (setsid(1))."""
    line = ["setsid", "--ctty", *argv]
    log.debug("on a pty: %s", shlex.join(line))
    return subprocess.Popen(line, env=environment(env), stdin=slave, stdout=slave, stderr=slave)


def reap(child: Child, seconds: float) -> int | None:
    """The exit status of a child that ends within ``seconds``; ``None`` if it does not."""
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _completed(
    argv: Sequence[str], process: Child, out: bytes | None, err: bytes | None, clock: Deadline
) -> Completed:
    return Completed(tuple(argv), process.returncode, out or b"", err or b"", clock.elapsed())
