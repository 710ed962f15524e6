"""The host door: the programs on this machine's own PATH, for people who work on QEMU itself.

It uses bubblewrap too, so paths, environment and isolation inside are the same as behind the
other doors. Instead of a tree's folders, the machine's own top-level folders are bound read-only.
Only PATH differs. Nothing of the toolchain is installed or locked.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from lab.errors import ToolchainError
from lab.model import ARM32, Architecture, Door, ToolchainInfo
from lab.toolchain import bwrap, provide
from lab.toolchain.recipe import programs
from lab.toolchain.sandbox import Sandbox
from lab.util import files, process

#: Top-level folders that are not visible inside: bubblewrap makes its own, or mounts go there.
_NOT_SHOWN = ("proc", "sys", "dev", "tmp", "run", "mnt", "media", "srv", "boot", "lost+found")


class HostToolchain(Sandbox):
    """Programs run with this machine's own files, which they see read-only."""

    def __init__(self, versions: dict[str, str], key: str) -> None:
        env = bwrap.ENVIRONMENT | {"PATH": _path()}
        super().__init__(Door.HOST, _root(Path("/")), env)
        self._versions = versions
        self._key = key

    @property
    def key(self) -> str:
        return self._key

    def info(self) -> ToolchainInfo:
        return ToolchainInfo(
            door=Door.HOST,
            key=self._key,
            where=_path(),
            origin=f"programs on PATH of {platform.node()}",
            size=0,
            versions={"qemu" if "qemu" in k else k: v for k, v in self._versions.items()},
            packages={},
        )


def open_host(progress: Callable[[str], None], arch: Architecture = ARM32) -> HostToolchain:
    """The host door. ``$LAB_HOST_PATH`` is searched before PATH, for example for your own QEMU.

    Raises:
        ToolchainError: a program is not on PATH; the hint names the packages.
    """
    provide.ensure({"bwrap": "bubblewrap"}, progress)
    wanted = programs(arch)
    found = {name: shutil.which(name, path=_path()) for name in wanted}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = " ".join(wanted[name] for name in missing)
        raise ToolchainError(
            f"not on PATH: {', '.join(missing)}",
            hint=f"apt-get install {packages}; or use --door rootfs, which brings its own",
        )
    hidden = [path for path in found.values() if path and Path(path).parts[1] in _NOT_SHOWN]
    if hidden:
        raise ToolchainError(
            f"{hidden[0]} cannot be used: {Path(hidden[0]).parents[-2]} of this machine is not "
            "visible in the toolchain",
            hint="put the program under /opt, /usr/local or your home folder",
        )
    paths = {name: path for name, path in found.items() if path}
    contents = {name: files.sha256_file(Path(path)) for name, path in paths.items()}
    versions = {name: _version(path) for name, path in paths.items()}
    return HostToolchain(versions, files.sha256_json([contents, versions]))


def this_machine() -> HostToolchain | None:
    """A toolchain of whichever programs this machine has; ``None`` if it has no bubblewrap."""
    if not shutil.which("bwrap"):
        return None
    return HostToolchain({}, "")


def _path() -> str:
    """PATH inside. Relative entries are dropped: they would mean other folders there."""
    listed = [os.environ.get("LAB_HOST_PATH", ""), os.environ.get("PATH", ""), "/usr/sbin:/sbin"]
    return ":".join(part for part in ":".join(listed).split(":") if part.startswith("/"))


def _version(program: str) -> str:
    done = process.run([program, "--version"], timeout=20)
    return done.stdout.decode(errors="replace").partition("\n")[0]


def _root(top: Path) -> list[str]:
    line: list[str] = []
    for path in sorted(top.iterdir()):
        if path.name in _NOT_SHOWN:
            continue
        if path.is_symlink():
            line += ["--symlink", os.readlink(path), f"/{path.name}"]  # noqa: PTH115
        elif path.is_dir() and path.name == "var":
            line += ["--ro-bind-try", str(path / "lib"), "/var/lib"]
        elif path.is_dir():
            line += ["--ro-bind", str(path), f"/{path.name}"]
    return line
