"""What a container of ours is: one function, no side effects, as bwrap.py is for the other doors.

Inside is what bubblewrap shows too: the same environment, an empty /tmp, nothing of the
caller's but the folders that are mounted, no network, no capabilities, a read-only root. What
a program writes goes into files that are mounted, not through the engine: it is there byte
for byte even when the engine dies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.model import Command, Mount
from lab.toolchain.bwrap import ENVIRONMENT

#: Where the files of a program's input and output are.
IO = "/lab/io"
LOG = "/lab/log"
LOCK = "/lab/lock{}"
#: Exit statuses of a container that never became the program.
LOCK_IS_TAKEN, NO_PROGRAM = 125, 127

_READ_OUTPUT = f'exec <{IO}/stdin >{IO}/stdout 2>{IO}/stderr; exec "$@"'
#: An empty tmpfs as bubblewrap makes it: programs in it may be run.
_SCRATCH = "rw,exec,nosuid,nodev,mode=1777"


@dataclass(frozen=True)
class Confined:
    """A command as a container runs it: through a shell (``entry``) that sees to its files."""

    command: Command
    entry: Sequence[str]
    files: Sequence[Mount]


@dataclass(frozen=True)
class Who:
    """The image (its id), and the user (``uid:gid``) inside.

    ``remapped`` says that the engine gives containers other user ids than the host's unless
    told not to: files would not be the user's.
    """

    image: str
    user: str
    remapped: bool = False


def to_the_end(command: Command, folder: Path) -> Confined:
    """A program whose standard files are in ``folder``."""
    entry = ["/bin/sh", "-c", _READ_OUTPUT, "lab"]
    return Confined(command, entry, [Mount(folder, IO, writable=True)])


def on_its_own(command: Command, log: Path, locks: Sequence[Path]) -> Confined:
    """A program that goes on by itself: its output appended to ``log``, holding ``locks``.

    A container cannot inherit a descriptor; the program takes flock(2) on the files itself and
    so holds them exactly as long as it lives, whatever becomes of us or of the engine.
    """
    lines = ["trap '' XFSZ", f"exec >>{LOG} 2>&1 </dev/null"]
    mounts = [Mount(log, LOG, writable=True)]
    for number, lock in enumerate(locks):
        inside, handle = LOCK.format(number), 9 - number
        mounts.append(Mount(lock, inside, writable=True))
        lines.append(f"exec {handle}<>{inside}")
        lines.append(f"flock --nonblock {handle} || exit {LOCK_IS_TAKEN}")
    script = "; ".join([*lines, 'exec "$@"'])
    return Confined(command, ["/bin/sh", "-c", script, "lab"], mounts)


def spec(
    who: Who, program: Confined, labels: Mapping[str, str], largest_file: int | None = None
) -> dict[str, Any]:
    """The body of ``POST /containers/create`` (Docker Engine API).

    ``largest_file``: bytes that one file may have.
    """
    command = program.command
    return {
        "Image": who.image,
        "Entrypoint": list(program.entry),
        "Cmd": list(command.argv),
        "User": who.user,
        "WorkingDir": command.cwd,
        "Env": [f"{name}={value}" for name, value in {**ENVIRONMENT, **command.env}.items()],
        "Labels": dict(labels),
        "HostConfig": _confinement(command.network) | {
            "Mounts": [_bind(mount) for mount in (*command.mounts, *program.files)],
            "UsernsMode": "host" if who.remapped else "",
            "Ulimits": _limits(largest_file),
        },
    } | ({} if command.network else {"Hostname": "lab"})  # fmt: skip


def _confinement(network: bool) -> dict[str, Any]:
    return {
        "NetworkMode": "host" if network else "none",
        "ReadonlyRootfs": True,
        "Privileged": False,
        "CapDrop": ["ALL"],
        # SELinux would hide the mounted folders, and relabelling the user's own is not ours.
        "SecurityOpt": ["no-new-privileges", "label=disable"],
        "IpcMode": "private",
        "Tmpfs": {"/tmp": _SCRATCH, "/var/tmp": _SCRATCH},
        "LogConfig": {"Type": "none"},
    }


def _limits(largest_file: int | None) -> list[dict[str, Any]]:
    if largest_file is None:
        return []
    return [{"Name": "fsize", "Soft": largest_file, "Hard": largest_file}]


def _bind(mount: Mount) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": str(mount.source.resolve()),
        "Target": mount.target,
        "ReadOnly": not mount.writable,
        "BindOptions": {"Propagation": "rprivate"},
    }
