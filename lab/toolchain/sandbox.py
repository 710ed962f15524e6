"""A toolchain that is entered with bubblewrap: what the rootfs and host doors share."""

from __future__ import annotations

import json
import os
import select
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from lab.errors import ToolchainError
from lab.model import Completed, Door, Mount, Program, ProgramRecord
from lab.toolchain import bwrap, failures
from lab.toolchain.program import HostProgram
from lab.util import process

#: What a program with network sees of this machine's way to it. Missing ones are skipped.
NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
#: How long bubblewrap may take to set up its namespaces.
ENTER_SECONDS = 30.0


class Sandbox:
    """Programs in a root folder made of ``root`` (options of bwrap), with ``path``."""

    def __init__(self, door: Door, root: Sequence[str], env: Mapping[str, str]) -> None:
        self._door = door
        self._root = tuple(root)
        self._env = dict(env)

    @property
    def door(self) -> Door:
        return self._door

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
        failures.check_mounts(mounts)
        extra = failures.proxy_variables() if network else {}
        line = bwrap.command(
            [*self._root, *(_network_files() if network else ())],
            argv,
            mounts=mounts,
            cwd=cwd,
            env=self._env | extra | dict(env or {}),
            options=["--die-with-parent", *(["--share-net"] if network else [])],
        )
        try:
            done = process.run(line, timeout=timeout, options=process.Options(stdin=stdin))
        except process.TimedOut as late:
            raise failures.late(argv, timeout, late.completed) from None
        except FileNotFoundError:
            raise no_bwrap() from None
        done = Completed(tuple(argv), done.returncode, done.stdout, done.stderr, done.seconds)
        _not_entered(done)
        if check and done.returncode:
            raise failures.failed(done)
        return done

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
        """Start a program; it has ended when everything that it started has ended too."""
        failures.check_mounts(mounts)
        told, tell = os.pipe()
        hold, go = os.pipe()
        try:
            line = bwrap.command(
                self._root,
                argv,
                mounts=mounts,
                env=self._env | {failures.TAG: tag},
                options=["--info-fd", str(tell), "--block-fd", str(hold)],
            )
            starter = _spawn(line, log, [*keep_fds, tell, hold])
            os.close(tell)
            tell = -1
            record = _record(self._door, tag, _child(told), starter, argv, log)
            if largest_file is not None:
                process.limit_files(int(record.id), largest_file)
            return HostProgram(record, starter)
        finally:
            # The program waits for ``go`` to close: it is known before it does anything.
            for handle in (told, tell, hold, go):
                if handle >= 0:
                    os.close(handle)

    def adopt(self, record: ProgramRecord) -> Program:
        return HostProgram(record)


def no_bwrap() -> ToolchainError:
    return ToolchainError(
        "bubblewrap (bwrap) is not installed",
        hint="apt-get install bubblewrap",
    )


def _spawn(line: list[str], log: IO[bytes], fds: Sequence[int]) -> process.Child:
    try:
        return process.spawn(line, log_to=log, keep_fds=fds)
    except FileNotFoundError:
        raise no_bwrap() from None


def _child(told: int) -> int | None:
    """The pid, on this host, of the first process inside; ``None`` if there is none.

    It is that namespace's init: when it is killed the kernel ends everything inside.
    """
    text = b""
    poll = select.poll()
    poll.register(told, select.POLLIN)
    while poll.poll(ENTER_SECONDS * 1000):
        part = os.read(told, 4096)
        text += part
        if not part or b"}" in part:
            break
    try:
        return int(json.loads(text)["child-pid"])
    except (ValueError, KeyError):
        return None


def _record(
    door: Door,
    tag: str,
    pid: int | None,
    starter: process.Child,
    argv: Sequence[str],
    log: IO[bytes],
) -> ProgramRecord:
    started = process.start_time(pid) if pid else None
    if pid is None or started is None:
        starter.kill()
        starter.wait()
        raise ToolchainError(
            "the toolchain could not be entered",
            command=shlex.join(argv),
            tail=failures.tail_of(log),
            hint=ENTER_HINT,
        )
    return ProgramRecord(door, str(pid), process.boot_id(), started, tag)


ENTER_HINT = (
    "bubblewrap needs user namespaces: `inv doctor` says what forbids them here "
    "(a container may need --security-opt seccomp=unconfined, Ubuntu an AppArmor profile)"
)


def _not_entered(done: Completed) -> None:
    """Raise if bubblewrap itself failed: it prefixes its own messages with its name."""
    first = done.stderr.decode(errors="replace").partition("\n")[0]
    if done.returncode == 0 or not first.startswith("bwrap: "):
        return
    what = first.removeprefix("bwrap: ")
    if what.startswith("execvp "):
        raise failures.no_program(done, first)
    hint = ENTER_HINT if "ource path" not in what else "check the folders that are mounted"
    raise ToolchainError(
        "the toolchain could not be entered",
        command=shlex.join(done.argv), tail=first, hint=hint,
    )  # fmt: skip


def _network_files() -> list[str]:
    found = [(Path(name).resolve(), name) for name in NETWORK_FILES if Path(name).is_file()]
    return [part for real, name in found for part in ("--ro-bind", str(real), name)]
