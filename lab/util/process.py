"""The one door to subprocesses.

It takes lists of arguments and never uses a shell. Standard input is closed and the environment is
small. Each call logs a line that can be pasted. Any exception ends the whole process group.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.model import Completed
from lab.util import signals
from lab.util.deadline import Deadline
from lab.util.terminal import escape

#: A program that we started, as our child.
Child = subprocess.Popen[bytes]

log = logging.getLogger("lab.process")

#: The name of a task.
_TASK = re.compile(r"[a-z]+\.(?!py$)[a-z]+")

#: The variables of our environment that a program gets; all others must be given.
KEPT_ENVIRONMENT = (
    "HOME", "PATH", "TMPDIR", "USER", "LOGNAME",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip


#: Seconds to read the rest of the output when a program has ended: what it left running may still
#: write.
REST_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """What only few programs need.

    Attributes:
        stdin: what the program reads; without it, standard input is empty.
        stdout: a file that takes the output instead of memory.
        keep_fds: descriptors that the program inherits.
        grace: seconds that it has to end by itself when we are interrupted, before it is killed.
    """

    stdin: bytes = b""
    stdout: IO[bytes] | None = None
    keep_fds: Sequence[int] = ()
    grace: float = 0.0


USUAL = Options()


class TimedOut(Exception):
    """A program took too long. ``completed`` has what it wrote until then."""

    def __init__(self, completed: Completed) -> None:
        super().__init__(f"{completed.argv[0]} took longer than allowed")
        self.completed = completed


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The small environment of every program: the C locale, some of our variables, and
    ``extra``."""
    env = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return env | {"LC_ALL": "C.UTF-8", "TZ": "UTC"} | dict(extra or {})


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
        out, err = process.communicate(options.stdin or None, timeout=timeout)
    except subprocess.TimeoutExpired:
        assert process
        _end_group(process)
        out, err = process.communicate()
        raise TimedOut(_completed(argv, process, out, err, clock)) from None
    except BaseException:
        if process:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                if options.grace:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(options.grace)
            _end_group(process)
            process.wait()
        raise
    return _completed(argv, process, out, err, clock)


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
        process.wait(timeout)
        reader.join(REST_SECONDS)
    except subprocess.TimeoutExpired:
        _end_group(process)
        process.wait()
        reader.join(REST_SECONDS)
        raise TimedOut(_completed(argv, process, b"".join(said), b"", clock)) from None
    except BaseException:
        _end_group(process)
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
    """Start a program that goes on when this process ends. Its output goes to ``log_to``.

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
    """Run a program whose output is for people. The output goes to our standard error at once.

    The program gets our whole environment. There is no timeout, because a person is watching.
    Returns the exit status.
    """
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


def reap(child: Child, seconds: float) -> int | None:
    """The exit status of a child that ends within ``seconds``; ``None`` if it does not."""
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def limit_files(pid: int, largest: int) -> None:
    """Limit the size of files that a process and its children write to ``largest`` bytes
    (prlimit(2))."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest, largest))


def boot_id() -> str:
    """Identifies this boot of the host (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; ``None`` if there is no such one.

    Field 22 of ``/proc/PID/stat``, proc_pid_stat(5); the second field may hold anything.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def state(pid: int) -> str:
    """The state of a process, a letter of proc_pid_stat(5); empty if there is no such one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


def is_stopped(pid: int) -> bool:
    """Whether a signal or a debugger has stopped it."""
    return state(pid) in ("T", "t")


def title(pid: int) -> str:
    """A short name of a process, harmless to print: a task or a program."""
    words = [word.decode(errors="replace") for word in arguments(pid)]
    task = next((word for word in words[1:] if _TASK.fullmatch(word)), "")
    script = next((word for word in words[1:] if word.endswith(".py")), "")
    module = words[2] if words[1:2] == ["-m"] else ""
    name = task or Path(script or module or (words[0] if words else "")).name
    return escape(name or "unknown", limit=40)


def arguments(pid: int) -> list[bytes]:
    """The arguments of a process (proc_pid_cmdline(5)); none if it has ended or is ending."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return text.split(b"\0") if text else []


def running() -> Iterator[tuple[int, list[bytes]]]:
    """Every visible process: its pid and its arguments (proc_pid_cmdline(5))."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield int(path.parent.name), path.read_bytes().split(b"\0")


def end_group(pid: int) -> None:
    """Kill a process group, if it exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _end_group(process: Child) -> None:
    end_group(process.pid)


def _completed(
    argv: Sequence[str],
    process: Child,
    out: bytes | None,
    err: bytes | None,
    clock: Deadline,
) -> Completed:
    return Completed(tuple(argv), process.returncode, out or b"", err or b"", clock.elapsed())
