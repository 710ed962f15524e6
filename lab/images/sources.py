"""Unpacks what guests are built from: the FreeRTOS kernel and Xen's headers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.errors import ImageError
from lab.model import Command, Mount, Package, Toolchain
from lab.store import Entry, Store, entry_key

#: Debian ships a FreeRTOS kernel (V9.0.0) in this folder of this source package.
FREERTOS_PACKAGE = "micropython"
FREERTOS_FOLDER = "ports/cc3200/FreeRTOS"

#: The parts of the kernel that the lab's own port needs. The rest is ports to other machines.
FREERTOS_FILES = ("License", "Source/*.c", "Source/include", "Source/portable/MemMang/heap_4.c")

XEN_HEADERS_PACKAGE = "libxen-dev"

#: The kinds of their store entries.
KERNEL_KIND = "freertos-kernel"
HEADERS_KIND = "xen-headers"


def freertos_kernel(store: Store, toolchain: Toolchain, packages: Sequence[Package]) -> Entry:
    """The FreeRTOS kernel: ``tasks.c``, …, ``include/``, ``portable/MemMang/heap_4.c``.

    ``packages`` are the files of the source package ``micropython``.

    Raises:
        ImageError: the expected folder does not hold a FreeRTOS kernel.
    """
    tarball = _one(packages, ".orig.tar")
    top = f"*/{FREERTOS_FOLDER}"

    def build(into: Path) -> None:
        unpack = ["tar", "--extract", "--file=/in/source", "--directory=/out",
                  "--no-same-owner", "--no-same-permissions",
                  "--wildcards", "--no-wildcards-match-slash",
                  r"--transform=s,^[^/]*/ports/cc3200/FreeRTOS/\(Source/\)\?,,",
                  *(f"{top}/{name}" for name in FREERTOS_FILES)]  # fmt: skip
        mounts = [Mount(tarball.path, "/in/source"), Mount(into, "/out", writable=True)]
        toolchain.run(Command(unpack, mounts=mounts))
        if not (into / "tasks.c").is_file():
            raise ImageError(f"{tarball.path.name} holds no FreeRTOS kernel")

    return store.make(KERNEL_KIND, _inputs(tarball, FREERTOS_FILES), build)


def freertos_kernel_key(packages: Sequence[Package]) -> str:
    """The key of the entry that :func:`freertos_kernel` makes from these packages."""
    return entry_key(KERNEL_KIND, _inputs(_one(packages, ".orig.tar"), FREERTOS_FILES))


def xen_headers(store: Store, toolchain: Toolchain, packages: Sequence[Package]) -> Entry:
    """An entry with ``usr/include/xen`` from the package ``libxen-dev``."""
    package = _headers_package(packages)

    def build(into: Path) -> None:
        mounts = [Mount(package.path, "/in/package"), Mount(into, "/out", writable=True)]
        toolchain.run(Command(["dpkg-deb", "--extract", "/in/package", "/out"], mounts=mounts))

    return store.make(HEADERS_KIND, _inputs(package), build)


def xen_headers_key(packages: Sequence[Package]) -> str:
    """The key of the entry that :func:`xen_headers` makes from these packages."""
    return entry_key(HEADERS_KIND, _inputs(_headers_package(packages)))


def _headers_package(packages: Sequence[Package]) -> Package:
    return _one([p for p in packages if p.name == XEN_HEADERS_PACKAGE], ".deb")


def _one(packages: Sequence[Package], part: str) -> Package:
    found = [package for package in packages if part in package.path.name]
    if len(found) != 1:
        names = ", ".join(package.path.name for package in packages) or "nothing"
        raise ImageError(f"expected one file *{part}* among the packages, but found: {names}")
    return found[0]


def _inputs(package: Package, files: Sequence[str] = ()) -> dict[str, object]:
    return {
        "package": package.name,
        "version": package.version,
        "arch": package.arch,
        "sha256": package.sha256,
        "files": [*files],
    }
