"""The toolchain as other rooms see it: how programs are run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from lab.model.enums import Door


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host, visible at ``target`` inside the toolchain."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Command:
    """A program and what it needs of the toolchain. ``env`` is added to a fixed environment.

    ``scratch``: the most bytes of each temporary folder; 0: as many as the machine has.
    Only where it runs to its end: ``network``, ``input`` (its standard input), ``timeout`` in
    seconds, and ``most``, the bytes of each of its outputs that are kept (0: all).
    """

    argv: Sequence[str]
    mounts: Sequence[Mount] = ()
    cwd: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    timeout: float = 300.0
    input: bytes = b""
    scratch: int = 0
    most: int = 0


@dataclass(frozen=True)
class Completed:
    """A program that ended: exit status (negative: signal), and what it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float


@dataclass(frozen=True)
class ProgramRecord:
    """How a later command recognises a started program, and never takes another one for it.

    ``id`` is a pid (rootfs, host) or a container id. ``boot_id`` and ``start_time`` (clock
    ticks since boot, field 22 of proc_pid_stat(5)) make a pid unambiguous. For a container,
    ``pid`` is its first process as this host sees it, and ``engine`` the address of its engine.
    """

    door: Door
    id: str
    boot_id: str = ""
    start_time: int = 0
    tag: str = ""
    pid: int = 0
    engine: str = ""


class Program(Protocol):
    """A program that was started and runs on its own."""

    @property
    def record(self) -> ProgramRecord: ...

    def alive(self) -> bool: ...

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended. ``False`` if it has not after ``timeout`` seconds."""
        ...

    def returncode(self) -> int | None:
        """Its exit status, or ``None`` if it still runs or was not our child.

        Raises:
            ToolchainError: it ended because its toolchain did (its engine is gone).
        """
        ...

    def kill(self) -> None:
        """Kill it and everything that it started. Does nothing if it has ended."""
        ...


@dataclass(frozen=True)
class ToolchainInfo:
    """What ``toolchain.info`` prints. ``lock``: the lock's digest; ``drift``: what differs."""

    door: Door
    key: str
    where: str
    origin: str
    size: int
    versions: Mapping[str, str]
    packages: Mapping[str, str]
    lock: str = ""
    drift: tuple[str, ...] = ()


@dataclass(frozen=True)
class StartOptions:
    """How a program is started that outlives this process.

    Attributes:
        tag: what it is found by among the running programs.
        log: the file that gets its output.
        keep_fds: locks of flock(2) that stay held until it ends. It inherits the descriptors
            or, in a container, locks the files beside them itself (:func:`lab.util.files.twin`).
        largest_file: bytes that it may write into one file; it lives on when a write beyond
            that is refused (setrlimit(2), ``RLIMIT_FSIZE``). ``None``: no limit.
    """

    tag: str
    log: IO[bytes]
    keep_fds: Sequence[int] = ()
    largest_file: int | None = None


class Toolchain(Protocol):
    """Runs programs, with the folders they need. They have no network unless asked for."""

    @property
    def door(self) -> Door: ...

    @property
    def key(self) -> str:
        """A hash of its content. Two toolchains with the same key build the same bytes."""
        ...

    def run(self, command: Command, *, check: bool = True) -> Completed:
        """Run a program to its end.

        Raises:
            ToolchainError: the door is broken; or the program took longer than it may; or
                ``check`` is set and its status is not 0 (with the command and its last lines).
        """
        ...

    def start(self, command: Command, options: StartOptions) -> Program:
        """Start a program that outlives this process."""
        ...

    def adopt(self, record: ProgramRecord) -> Program:
        """The program of an earlier :meth:`start`, perhaps by another process."""
        ...

    def info(self) -> ToolchainInfo: ...
