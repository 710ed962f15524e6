"""A started container: its identity, whether it is alive, how it ends.

Its first process is a process of this host and is watched as one (see lab/toolchain/program.py).
That needs no engine, and works even after the engine has gone. The engine is asked only for the
exit status, and to remove the container.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.errors import ToolchainError
from lab.model import Door, ProgramRecord
from lab.toolchain.docker import sweep
from lab.toolchain.docker.engine import OTHER_DOOR, Engine, RefusedError
from lab.toolchain.program import HostProgram
from lab.util import process

#: How long an engine may take to answer a question about a container.
ASK_SECONDS = 10.0


class DockerProgram:
    """The container of a record. ``pid`` 0 means that it ended before its process was seen."""

    def __init__(self, record: ProgramRecord) -> None:
        self._record = record
        self._engine = Engine(record.engine)
        self._process = _process_of(record)

    @property
    def record(self) -> ProgramRecord:
        return self._record

    def alive(self) -> bool:
        return self._process is not None and self._process.alive()

    def wait(self, timeout: float) -> bool:
        return self._process is None or self._process.wait(timeout)

    def returncode(self) -> int | None:
        """Its exit status, or ``None`` if it is still running.

        Raises:
            ToolchainError: the engine does not answer, or somebody removed the container.
        """
        if self.alive():
            return None
        try:
            # The engine learns that a process has ended a moment after we do.
            return wait(self._engine, self._record.id, ASK_SECONDS)
        except TimeoutError:
            return None
        except ToolchainError as error:
            removed = isinstance(error, RefusedError) and error.status == 404
            words = "somebody removed its container" if removed else error.message
            raise ToolchainError(
                f"the machine was ended from outside: {words}",
                hint="start the lab again" if removed else error.hint,
            ) from None

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(PermissionError):
                self._process.kill()
        with contextlib.suppress(ToolchainError):
            sweep.remove_container(self._engine, self._record.id)


def _process_of(record: ProgramRecord) -> HostProgram | None:
    """The container's first process. The engine named it, so its command line needs no tag."""
    return HostProgram(replace(record, id=str(record.pid), tag="")) if record.pid else None


def machines(tag: str) -> list[DockerProgram]:
    """The machines that were started with this tag, recorded or not, running or not."""
    found = []
    for engine in sweep.engines():
        with contextlib.suppress(ToolchainError):
            for one in sweep.containers(engine, sweep.machine_labels(tag)):
                found.append(DockerProgram(record_of(engine, one["Id"], tag)))
    return found


def homes() -> set[Path]:
    """The folders with live labs whose machines are containers at the engines that were used."""
    found = set()
    for engine in sweep.engines():
        with contextlib.suppress(ToolchainError):
            for one in sweep.containers(engine, {sweep.HOME: None}):
                found.add(Path(one["Labels"][sweep.HOME]))
    return found


def record_of(engine: Engine, container: str, tag: str) -> ProgramRecord:
    """The record of a container that was just started.

    Raises:
        ToolchainError: its process is not visible on this machine.
    """
    pid = int(look(engine, container)["State"]["Pid"])
    started = process.start_time(pid) if pid else None
    if pid and not _is_of(pid, container):
        if look(engine, container)["State"]["Running"]:
            raise ToolchainError(
                f"the Docker engine at {engine.where} runs programs that this machine cannot see",
                hint=f"an engine in a virtual machine cannot share a lab's sockets; {OTHER_DOOR}",
            )
        started = None
    if started is None:
        return ProgramRecord(Door.DOCKER, container, tag=tag, engine=engine.where)
    return ProgramRecord(
        Door.DOCKER, container, process.boot_id(), started, tag, pid=pid, engine=engine.where
    )


def wait(engine: Engine, container: str, timeout: float) -> int:
    """Wait until a container has ended. Returns its exit status.

    Raises:
        TimeoutError: it has not ended after ``timeout`` seconds.
        ToolchainError: the engine or the container went away meanwhile.
    """
    path = f"/containers/{container}/wait"
    return int(engine.call(f"POST {path}", what="wait", timeout=timeout)["StatusCode"])


def look(engine: Engine, container: str) -> dict[str, Any]:
    """What the engine knows about a container (``GET /containers/{id}/json``)."""
    path = f"/containers/{container}/json"
    found: dict[str, Any] = engine.call(
        f"GET {path}", what="describe a container", timeout=ASK_SECONDS
    )
    return found


def _is_of(pid: int, container: str) -> bool:
    """Whether a process of this host is in that container: its cgroup contains the id."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
