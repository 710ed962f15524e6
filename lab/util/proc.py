"""Facts about processes, from /proc (proc(5)): identity, start time, state."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
from collections.abc import Iterator, Sequence
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


def show_arguments(words: Sequence[str]) -> None:
    """Let others see these words as our last arguments, as far as there is room for them.

    Our first arguments stay: the interpreter, and ``-m`` with the name of a module. The system
    shows the memory in which it has put them (fields 48 and 49 of proc_pid_stat(5)).
    """
    with contextlib.suppress(OSError), Path("/proc/self/mem").open("r+b", buffering=0) as memory:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        text = b"\0".join([*arguments(os.getpid())[:3], *map(os.fsencode, words)])
        memory.seek(start)
        memory.write(text[: end - start - 1].ljust(end - start, b"\0"))


def running() -> Iterator[tuple[int, list[bytes]]]:
    """Every visible process: its pid and its arguments (proc_pid_cmdline(5))."""
    with os.scandir("/proc") as found:
        names = [one.name for one in found]
    for name in names:
        if name.isdigit() and (words := _bytes(f"/proc/{name}/cmdline")):
            yield int(name), words.split(b"\0")


def _bytes(file: str) -> bytes:
    """The bytes of a small file; none if it cannot be read. Each run looks at all processes, so
    this takes the quickest way."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        found = b""
        while piece := os.read(handle, 1 << 16):
            found += piece
        return found
    except OSError:
        return b""
    finally:
        os.close(handle)


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
