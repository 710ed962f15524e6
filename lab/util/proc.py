"""Facts about processes, from /proc (proc(5)): identity, start time, state."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

from lab.util.terminal import escape

#: The name of a task.
_TASK = re.compile(r"[a-z]+\.(?!py$)[a-z]+")


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


def limit_files(pid: int, largest: int) -> None:
    """Limit the size of files that a process and its children write to ``largest`` bytes
    (prlimit(2))."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest, largest))


def end_group(pid: int) -> None:
    """Kill a process group, if it exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def memory() -> tuple[int, int]:
    """The bytes of this machine's memory that are available, and all of them (proc_meminfo(5))."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    found = {name: rest.split()[0] for name, _, rest in (line.partition(":") for line in lines)}
    return int(found["MemAvailable"]) << 10, int(found["MemTotal"]) << 10
