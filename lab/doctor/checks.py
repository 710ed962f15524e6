"""Checks this machine. Each finding is one line. Checks try things out rather than guess.

Nothing is installed, built or changed. No check raises: a failed check is a finding as well.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lab.errors import ToolchainError
from lab.store import Store
from lab.toolchain import provide, recipe, tree_cache
from lab.toolchain.docker import engine
from lab.toolchain.rootfs import RootfsToolchain
from lab.util import debian, process

#: Disk space that the first `lab.up` needs to unpack the toolchain, and for packages and images.
CACHE_BYTES = 3 << 30
#: Disk space that one run needs: for the file with the machine's memory, and for logs.
RUN_BYTES = 1 << 30
#: Memory for the default lab (1 GB, of which it uses about 200 MB) and for compilers.
MEMORY_BYTES = 1 << 30
#: How long the archive may take to answer.
ANSWER_SECONDS = 5.0

_IN_A_CONTAINER = (
    "in a container, allow user namespaces and a new /proc "
    "(--security-opt seccomp=unconfined --security-opt systempaths=unconfined)"
)
_OUT_OF_REACH = "check the network, or the proxy in the environment or in apt's configuration"


class Grade(StrEnum):
    """``WARN``: labs work, perhaps only after something has been installed. ``FAIL``: they do
    not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check. ``items`` are its parts, if it has any."""

    name: str
    status: Grade
    what: str
    hint: str = ""
    items: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check(cache: Path, runs: Path) -> list[Finding]:
    """Run all checks. ``cache`` and ``runs`` are the folders that labs will use."""
    checks: list[Callable[[], Finding]] = [
        _python,
        lambda: _program("bwrap", "bubblewrap"),
        _namespaces,
        lambda: _bootstrapper(cache),
        lambda: _keyring(cache),
        _subordinate_ids,
        lambda: _disk("disk for the cache", cache, CACHE_BYTES),
        lambda: _disk("disk for runs", runs, RUN_BYTES),
        _memory,
        lambda: _archive(cache),
        lambda: _toolchain(cache),
        lambda: _images(cache),
        _engine,
    ]
    return [_checked(one) for one in checks]


def _checked(one: Callable[[], Finding]) -> Finding:
    try:
        return one()
    except Exception as error:  # whatever went wrong, the other checks must still run
        return Finding("doctor", Grade.WARN, f"a check failed to run: {error}")


def _python() -> Finding:
    what = f"Python {platform.python_version()} ({sys.executable})"
    if sys.version_info >= (3, 11):  # noqa: UP036  (people run it by hand, too)
        return Finding("python", Grade.OK, what)
    return Finding("python", Grade.FAIL, what, "Python 3.11 or newer is needed")


def _program(name: str, package: str, needed: bool = True) -> Finding:
    if path := shutil.which(name):
        version = process.run([name, "--version"], timeout=20).stdout.decode().split("\n")[0]
        return Finding(name, Grade.OK, f"{version} ({path})")
    if not needed:
        return Finding(name, Grade.OK, "not installed; not needed, because the toolchain exists")
    install = f"apt-get install {package}"
    if provide.root_prefix() is not None:
        return Finding(name, Grade.WARN, f"not installed; `{install}` will run when it is needed")
    return Finding(name, Grade.FAIL, "not installed", f"sudo {install}")


def _bootstrapper(cache: Path) -> Finding:
    return _program("mmdebstrap", "mmdebstrap", needed=not tree_cache.of_any(cache))


def _namespaces() -> Finding:
    """Try to enter new namespaces, as every program of a lab does."""
    name = "namespaces"
    if not shutil.which("bwrap"):
        return Finding(name, Grade.WARN, "not checked: bubblewrap is not installed", _obstacle())
    line = ["bwrap", "--unshare-all", "--cap-drop", "ALL", "--ro-bind", "/", "/",
            "--proc", "/proc", "--dev", "/dev", "true"]  # fmt: skip
    done = process.run(line, timeout=30)
    if done.returncode == 0:
        return Finding(name, Grade.OK, "bubblewrap enters new namespaces")
    said = done.stderr.decode(errors="replace").strip()
    hint = _obstacle() or _IN_A_CONTAINER
    return Finding(name, Grade.FAIL, f"bubblewrap cannot enter new namespaces: {said}", hint)


def _obstacle() -> str:
    """How to change the kernel setting that forbids user namespaces; empty if none does."""
    switches = (
        ("kernel/apparmor_restrict_unprivileged_userns", "1",
         "AppArmor restricts user namespaces: give bwrap a profile that allows `userns`, or run "
         "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/unprivileged_userns_clone", "0",
         "run sudo sysctl kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "run sudo sysctl user.max_user_namespaces=15000"),
    )  # fmt: skip
    for name, bad, hint in switches:
        if _sysctl(name) == bad and os.geteuid() != 0:
            return hint
    return ""


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def _keyring(cache: Path) -> Finding:
    name = "keyring"
    if Path(provide.KEYRING).is_file():
        return Finding(name, Grade.OK, f"Debian's archive keys are in {provide.KEYRING}")
    if tree_cache.of_any(cache):
        return Finding(name, Grade.OK, "not installed; not needed, because the toolchain exists")
    install = "apt-get install debian-archive-keyring"
    may = provide.root_prefix() is not None
    if may:
        return Finding(name, Grade.WARN, f"not installed; `{install}` will run when it is needed")
    return Finding(name, Grade.FAIL, "Debian's archive keys are missing", f"sudo {install}")


def _subordinate_ids() -> Finding:
    what = "not needed: the toolchain is unpacked without privileges"
    return Finding("subordinate ids", Grade.OK, what)


def _disk(name: str, folder: Path, needed: int) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    what = f"{_mb(free)} free for {folder}"
    if not os.access(there, os.W_OK):
        hint = "set LAB_CACHE to a folder that you may write to"
        return Finding(name, Grade.FAIL, f"{there} is not writable", hint)
    if free < needed:
        return Finding(name, Grade.FAIL, what, f"{_mb(needed)} are needed")
    return Finding(name, Grade.OK, what)


def _memory() -> Finding:
    lines = Path("/proc/meminfo").read_text().splitlines()
    fields = {
        name: int(rest.split()[0]) << 10 for name, _, rest in (x.partition(":") for x in lines)
    }
    free = fields["MemAvailable"]
    what = f"{_mb(free)} available of {_mb(fields['MemTotal'])}"
    if free < MEMORY_BYTES:
        return Finding("memory", Grade.WARN, what, "a lab with `memory: 512M` needs less")
    return Finding("memory", Grade.OK, what)


def _archive(cache: Path) -> Finding:
    name = "archive"
    address = debian.archive_of_this_machine()
    if address is None:
        what = "apt on this machine names no Debian archive; mmdebstrap uses its default"
        return Finding(name, Grade.OK, what)
    try:
        _ask(f"{address}/dists/{recipe.SUITE}/InRelease")
    except (OSError, ValueError) as error:
        what = f"{address} does not answer: {error}"
        if tree_cache.of_any(cache):
            return Finding(name, Grade.WARN, what, "cached packages and images still work")
        return Finding(name, Grade.FAIL, what, _OUT_OF_REACH)
    return Finding(name, Grade.OK, f"{address} answers")


def _ask(address: str) -> None:
    handlers = [urllib.request.ProxyHandler(found)] if (found := dict(_proxies())) else []
    request = urllib.request.Request(address, method="HEAD")
    with urllib.request.build_opener(*handlers).open(request, timeout=ANSWER_SECONDS):
        pass


def _proxies() -> Iterator[tuple[str, str]]:
    for line in debian.proxies_of_this_machine():
        name, _, value = line.rstrip(";").partition(" ")
        words = name.split("::")
        if len(words) == 3 and value.strip('"') != "DIRECT":
            yield words[1].lower(), value.strip('"')


def _toolchain(cache: Path) -> Finding:
    made = tree_cache.of_any(cache)
    if not made:
        what = "not made yet; the first command that needs it makes it in about a minute"
        return Finding("toolchain", Grade.OK, what)
    words = []
    for arch, tree in made:
        info = RootfsToolchain(tree, arch).info()
        words.append(f"{arch.xen}: {_mb(info.size)}, QEMU {info.versions['qemu']}, in {info.where}")
    return Finding("toolchain", Grade.OK, f"for the rootfs door; {'; '.join(words)}")


def _images(cache: Path) -> Finding:
    entries = [*Store(cache).entries()]
    sizes = [entry.size for entry in entries]
    items = tuple(
        {"kind": e.kind, "key": e.key, "size": size, "files": [*e.outputs], "inputs": {**e.inputs}}
        for e, size in zip(entries, sizes, strict=True)
    )
    size = sum(sizes)
    what = f"{len(items)} stored, {_mb(size)}" if items else "none stored yet"
    return Finding("images", Grade.OK, what, items=items)


def _engine() -> Finding:
    """Whether the docker door can be used. Labs work without it."""
    where = engine.address()
    try:
        engine.Engine(where).ping()
    except ToolchainError as error:
        return Finding("docker", Grade.OK, f"{error.message}; not needed")
    return Finding(
        "docker",
        Grade.OK,
        f"an engine answers at {where}, so labs use it unless --door or LAB_DOOR says otherwise",
    )


def _mb(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size >> 20} MB"
