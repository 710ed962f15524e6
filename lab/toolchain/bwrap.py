"""The command line of bubblewrap: one function, no side effects.

The root inside is an empty read-only tmpfs in which the folders of a tree are bound, so that
a mount may have any target path that the tree does not hold itself. Nothing of the caller's
environment, processes, network or capabilities is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.model import Command

#: The environment inside, before the caller's own additions.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}

ISOLATION = ("--unshare-all", "--cap-drop", "ALL", "--hostname", "lab", "--clearenv")
KERNEL_FOLDERS = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp",
                  "--dir", "/run")  # fmt: skip


def command_line(
    root: Sequence[str], command: Command, env: Mapping[str, str], options: Sequence[str] = ()
) -> list[str]:
    """``bwrap …`` that runs a command; ``root`` are the options that make the root folder.

    ``env`` is all of its environment, in place of what the command adds to the usual one.
    """
    line = ["bwrap", *ISOLATION, *options, *root, *KERNEL_FOLDERS]
    for mount in sorted(command.mounts, key=lambda mount: mount.target.count("/")):
        how = "--bind" if mount.writable else "--ro-bind"
        line += [how, str(mount.source), mount.target]
    line += ["--remount-ro", "/"]
    for name, value in env.items():
        line += ["--setenv", name, value]
    return [*line, "--chdir", command.cwd, "--", *command.argv]
