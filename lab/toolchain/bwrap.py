"""Builds the command line of bubblewrap. There is one function, without side effects.

The root inside is an empty read-only tmpfs. The folders of a tree are bound into it, so a mount
may have any target path that is not in the tree. The caller's environment, processes, network and
capabilities are not visible inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.model import Command

#: The environment inside, to which the caller may add variables.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}

ISOLATION = ("--unshare-all", "--cap-drop", "ALL", "--hostname", "lab", "--clearenv")
#: Folders of the program's own, each a file system in memory.
TEMPORARY = ("/tmp", "/var/tmp")


def command_line(
    root: Sequence[str], command: Command, env: Mapping[str, str], options: Sequence[str] = (),
    devices: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """The arguments of bwrap that run a command. ``root``: the options that make the root folder.
    ``devices``: folders of the host's devices that it may use.

    ``env`` is the whole environment inside; ``command.env`` is not used.
    """
    line = ["bwrap", *ISOLATION, *options, *root, *_kernel_folders(command.scratch)]
    for one in devices:
        line += ["--dev-bind", one, one]
    for mount in sorted(command.mounts, key=lambda mount: mount.target.count("/")):
        how = "--bind" if mount.writable else "--ro-bind"
        line += [how, str(mount.source), mount.target]
    line += ["--remount-ro", "/"]
    for name, value in env.items():
        line += ["--setenv", name, value]
    return [*line, "--chdir", command.cwd, "--", *command.argv]


def _kernel_folders(scratch: int) -> list[str]:
    """``scratch``: the most bytes of a temporary folder; 0: as many as the machine has."""
    size = ["--size", str(scratch)] if scratch else []
    line = ["--proc", "/proc", "--dev", "/dev"]
    for folder in TEMPORARY:
        line += [*size, "--tmpfs", folder]
    # The folder of devices is in memory, too, and bwrap gives it no size.
    return [*line, *(["--remount-ro", "/dev"] if scratch else []), "--dir", "/run"]
