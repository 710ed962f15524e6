"""How programs are run: the toolchain, as everybody sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from lab.model.words import Door


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host, visible at ``target`` inside the toolchain."""

    source: Path
    target: str
    writable: bool = False


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
    """Who a started program is, so that a later command finds it and nothing else.

    ``id`` is a pid (rootfs, host) or a container id; ``boot_id`` and ``start_time`` (clock
    ticks since boot, field 22 of proc_pid_stat(5)) make a pid unambiguous. Of a container,
    ``pid`` is its first process as this host sees it, ``engine`` where its engine listens.
    """

    door: Door
    id: str
    boot_id: str = ""
    start_time: int = 0
    tag: str = ""
    pid: int = 0
    engine: str = ""


class Program(Protocol):
    """A program that was started and goes on by itself."""

    @property
    def record(self) -> ProgramRecord: ...

    def alive(self) -> bool: ...

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended; ``False`` if it has not after ``timeout`` seconds."""
        ...

    def returncode(self) -> int | None:
        """Its exit status, or ``None`` if it still runs or was not our child.

        Raises:
            ToolchainError: it ended because its toolchain did (an engine that is gone).
        """
        ...

    def kill(self) -> None:
        """End it, and everything that it started, now; harmless when it has ended."""
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


class Toolchain(Protocol):
    """Run this argv with these folders. Inside there is no network unless asked for."""

    @property
    def door(self) -> Door: ...

    @property
    def key(self) -> str:
        """Identity by content: two toolchains with one key build the same bytes."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount] = (),
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        network: bool = False,
        timeout: float = 300.0,
        check: bool = True,
        stdin: bytes = b"",
    ) -> Completed:
        """Run to the end.

        Raises:
            ToolchainError: the door is broken, or ``check`` and the status is not 0 (with
                the command and its last lines), or it took longer than ``timeout``.
        """
        ...

    def start(
        self,
        argv: Sequence[str],
        *,
        mounts: Sequence[Mount],
        tag: str,
        log: IO[bytes],
        keep_fds: Sequence[int] = (),
        largest_file: int | None = None,
    ) -> Program:
        """Start a program that outlives this process. Its output goes to ``log``.

        ``keep_fds`` are flock(2)s, held until it ends: it inherits the descriptors or, in a
        container, locks the files beside them itself (:func:`lab.util.files.twin`).
        ``largest_file``: bytes; what it writes into one file beyond that is refused to it
        (setrlimit(2), ``RLIMIT_FSIZE``), and it lives on.
        """
        ...

    def adopt(self, record: ProgramRecord) -> Program:
        """The program of an earlier :meth:`start`, perhaps by another process."""
        ...

    def info(self) -> ToolchainInfo: ...
