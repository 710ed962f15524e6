"""Describes our containers for the engine, without side effects, as bwrap.py does for bubblewrap.

Inside, a program sees what it sees behind the other doors: the same environment, an empty /tmp,
a read-only root, only those folders of the caller that are mounted, no network, no capabilities.
Its output goes into mounted files, not through the engine. So it is complete, byte for byte, even
if the engine dies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.model import Command, Mount
from lab.toolchain.bwrap import ENVIRONMENT

#: Paths inside: the folder with a program's standard files, its log, and the files of its claims.
IO = "/lab/io"
LOG = "/lab/log"
LOCK = "/lab/lock{}"
#: Exit statuses of a container in which the program never started.
LOCK_IS_TAKEN, NO_PROGRAM = 125, 127

_READ_OUTPUT = f'exec <{IO}/stdin >{IO}/stdout 2>{IO}/stderr; exec "$@"'
#: The options of an empty tmpfs, as bubblewrap makes it: programs in it may be run.
_SCRATCH = "rw,exec,nosuid,nodev,mode=1777"


@dataclass(frozen=True)
class Confined:
    """A command and the shell (``entry``) that connects it to its ``files`` and then becomes it."""

    command: Command
    entry: Sequence[str]
    files: Sequence[Mount]


@dataclass(frozen=True)
class Who:
    """The image (its id), and the user (``uid:gid``) inside.

    ``remapped``: by default this engine gives containers other user ids than the host's. The
    container must ask for the host's ids; otherwise its files would not belong to the user.
    """

    image: str
    user: str
    remapped: bool = False


def to_the_end(command: Command, folder: Path) -> Confined:
    """A program that the caller waits for. Its standard files are in ``folder``."""
    entry = ["/bin/sh", "-c", _READ_OUTPUT, "lab"]
    return Confined(command, entry, [Mount(folder, IO, writable=True)])


def on_its_own(command: Command, log: Path, locks: Sequence[Path]) -> Confined:
    """A program that outlives the caller. Its output is appended to ``log``.

    A container cannot inherit a descriptor. So the program itself calls flock(2) on the files in
    ``locks``. It has these claims exactly as long as it lives, whatever happens to the caller or
    the engine.
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

    ``largest_file``: the limit for one file, in bytes.
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
        # SELinux would forbid access to the mounted folders, and we must not relabel the user's.
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
