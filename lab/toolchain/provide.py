"""The few programs that the host itself must have: installed with apt when that is allowed."""

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
#: dpkg lets one process install at a time.
_INSTALLING = threading.Lock()
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def ensure(programs: Mapping[str, str], progress: Callable[[str], None]) -> None:
    """Have every program (name on PATH or absolute file: Debian package), or say how.

    Raises:
        ToolchainError: something is missing and may not be installed from here.
    """
    missing = {package for name, package in programs.items() if not _is_there(name)}
    if missing:
        install(sorted(missing), progress)


def install(packages: Sequence[str], progress: Callable[[str], None]) -> None:
    """Install Debian packages on this machine, or say how.

    Raises:
        ToolchainError: that may not be done from here, or apt could not.
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
    """What makes a command run as root without asking; ``None`` if nothing does."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    allowed = process.run(["sudo", "-n", "true"], timeout=20).returncode == 0
    return ["sudo", "-n"] if allowed else None


def _install(prefix: Sequence[str], install: list[str]) -> None:
    """Install; if apt's lists are too old or missing, update them and try once more."""
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    line = [*prefix, *quiet, *install]
    done = _apt(line)
    if done.returncode:
        _apt([*prefix, *quiet, "apt-get", "update"])
        done = _apt(line)
    if done.returncode:
        raise ToolchainError(
            "apt could not install what the lab needs on this machine",
            command=shlex.join(line),
            tail=escape_lines(done.stdout, last=12),
            hint=f"run by hand: sudo apt-get update && sudo {shlex.join(install)}",
        )


def _apt(line: Sequence[str]) -> Completed:
    """Run apt; what it is at can be seen meanwhile."""
    said = [""]
    with current().looking(lambda: said[-1]):
        return process.follow(line, said.append, timeout=INSTALL_SECONDS)


def _is_there(name: str) -> bool:
    return os.path.exists(name) if name.startswith("/") else shutil.which(name) is not None  # noqa: PTH110
