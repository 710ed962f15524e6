"""Installs the few programs that the host itself must have, with apt, when that is allowed."""

from __future__ import annotations

import os
import shlex
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence

from lab.errors import ToolchainError
from lab.model import Completed
from lab.progress import current
from lab.util import process
from lab.util.terminal import escape_lines

INSTALL_SECONDS = 600.0
#: dpkg lets one process install at a time. apt waits for another process that does, if it is told
#: for how many seconds (apt.conf(5)).
_INSTALLING = threading.Lock()
_PATIENTLY = ("-o", "DPkg::Lock::Timeout=300")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def ensure(programs: Mapping[str, str], progress: Callable[[str], None]) -> None:
    """Install the programs that are missing.

    ``programs`` maps a name on PATH, or the absolute path of a file, to its Debian package.

    Raises:
        ToolchainError: something is missing and could not be installed; the hint says how to
            install it.
    """
    missing = {package for name, package in programs.items() if not _is_there(name)}
    if missing:
        install(sorted(missing), progress)


def install(packages: Sequence[str], progress: Callable[[str], None]) -> None:
    """Install Debian packages on this machine.

    Raises:
        ToolchainError: this process may not install packages, or apt failed; the hint gives the
            command to run by hand.
    """
    line = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    prefix = root_prefix()
    if prefix is None or not shutil.which("apt-get"):
        raise ToolchainError(
            f"missing on this machine: {', '.join(packages)}",
            hint=f"run: sudo {shlex.join(line)}",
        )
    with _INSTALLING:
        progress(f"installing with apt: {' '.join(packages)}")
        _install(prefix, line)


def root_prefix() -> list[str] | None:
    """The words before a command that run it as root without a password; ``None``: impossible."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    allowed = process.run(["sudo", "-n", "true"], timeout=20).returncode == 0
    return ["sudo", "-n"] if allowed else None


def _install(prefix: Sequence[str], install: list[str]) -> None:
    """Install packages. If that fails, apt's lists may be old or missing: update, and try again."""
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    line = [*prefix, *quiet, *install, *_PATIENTLY]
    done = _apt(line)
    if done.returncode:
        _apt([*prefix, *quiet, "apt-get", "update"])
        done = _apt(line)
    if done.returncode:
        raise ToolchainError(
            "apt could not install packages that labs need on this machine",
            command=shlex.join(line),
            tail=escape_lines(done.stdout, last=12),
            hint=f"run by hand: sudo apt-get update && sudo {shlex.join(install)}",
        )


def _apt(line: Sequence[str]) -> Completed:
    """Run apt. The stage shows the last line of its output."""
    said = [""]
    with current().looking(lambda: said[-1]):
        return process.follow(line, said.append, timeout=INSTALL_SECONDS)


def _is_there(name: str) -> bool:
    return os.path.exists(name) if name.startswith("/") else shutil.which(name) is not None  # noqa: PTH110
