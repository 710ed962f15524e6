"""A toolchain that is entered with bubblewrap. The rootfs and host doors share this code."""

from __future__ import annotations

import json
import os
import select
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from lab.errors import ToolchainError
from lab.model import Command, Completed, Door, Program, ProgramRecord, StartOptions
from lab.toolchain import bwrap, failures
from lab.toolchain.program import HostProgram
from lab.util import proc, process

#: The files of this machine that a program with network access sees. Missing ones are skipped.
NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
#: Where the terminals are that editors make for a debugger.
TERMINALS = "/dev/pts"
#: How long bubblewrap may take to set up its namespaces.
ENTER_SECONDS = 30.0


class Sandbox:
    """Runs programs in a root folder that is made by ``root`` (options of bwrap), with ``env``."""

    def __init__(self, door: Door, root: Sequence[str], env: Mapping[str, str]) -> None:
        self._door = door
        self._root = tuple(root)
        self._env = dict(env)

    @property
    def door(self) -> Door:
        return self._door

    def run(self, command: Command, *, check: bool = True) -> Completed:
        failures.check_mounts(command.mounts)
        extra = failures.proxy_variables() if command.network else {}
        line = bwrap.command_line(
            [*self._root, *(_network_files() if command.network else ())],
            command,
            self._env | extra | dict(command.env),
            ["--die-with-parent", *(["--share-net"] if command.network else [])],
        )
        try:
            options = process.Options(stdin=command.input, most=command.most)
            done = process.run(line, timeout=command.timeout, options=options)
        except process.TimedOut as late:
            raise failures.late(command, late.completed) from None
        except FileNotFoundError:
            raise no_bwrap() from None
        done = replace(done, argv=tuple(command.argv))
        _not_entered(done)
        if check and done.returncode:
            raise failures.failed(done)
        return done

    def terminal_line(self, command: Command, *, others: bool = False) -> list[str]:
        """The whole command line of a program that uses our terminal, and ends with us.

        With ``others`` it may open the user's other terminals, too.
        """
        failures.check_mounts(command.mounts)
        env = self._env | {"TERM": os.environ.get("TERM", "dumb")} | dict(command.env)
        devices = [TERMINALS] if others else []
        return bwrap.command_line(self._root, command, env, ["--die-with-parent"], devices)

    def start(self, command: Command, options: StartOptions) -> Program:
        """Start a program. It counts as ended when everything that it started has ended too."""
        failures.check_mounts(command.mounts)
        told, tell = os.pipe()
        hold, go = os.pipe()
        try:
            env = self._env | dict(command.env) | {failures.TAG: options.tag}
            own = ["--info-fd", str(tell), "--block-fd", str(hold)]
            line = bwrap.command_line(self._root, command, env, own)
            starter = _spawn(line, options.log, [*options.keep_fds, tell, hold])
            os.close(tell)
            tell = -1
            pid = _child(told)
            started = process.start_time(pid) if pid else None
            if pid is None or started is None:
                starter.kill()
                starter.wait()
                raise _not_started(command, options.log)
            if options.largest_file is not None:
                proc.limit_files(pid, options.largest_file)
            record = ProgramRecord(self._door, str(pid), process.boot_id(), started, options.tag)
            return HostProgram(record, starter)
        finally:
            # The program waits until ``go`` is closed, so it is known before it does anything.
            for handle in (told, tell, hold, go):
                if handle >= 0:
                    os.close(handle)

    def adopt(self, record: ProgramRecord) -> Program:
        return HostProgram(record)


def no_bwrap() -> ToolchainError:
    """bubblewrap is missing on this machine."""
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

    That process is the init of its pid namespace: if it is killed, the kernel ends everything
    inside.
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


def _not_started(command: Command, log: IO[bytes]) -> ToolchainError:
    return ToolchainError(
        "the toolchain could not be entered",
        command=shlex.join(command.argv),
        tail=failures.tail_of(log),
        hint=ENTER_HINT,
    )


ENTER_HINT = (
    "bubblewrap needs user namespaces: `./inv doctor` says what forbids them here (a container "
    "may need --security-opt seccomp=unconfined, Ubuntu may need an AppArmor profile)"
)


def _not_entered(done: Completed) -> None:
    """Raise an error if bubblewrap itself failed. Its own messages begin with its name."""
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
