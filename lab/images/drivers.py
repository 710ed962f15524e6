"""Kernel modules that only labs with disks or network interfaces need, in dom0 and in guests.

All of them are read from the kernel's package at once and kept together: reading that package
takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.images import dom0, modules, newc, recipes
from lab.model import ARM32, Architecture, Package
from lab.packages import deb
from lab.store import Entry, Store
from lab.util import reading

#: What dom0 loads to serve disks and network interfaces.
BACKENDS = ("loop", "xen-blkback", "xen-netback", "llc", "stp", "bridge")
#: What a Linux guest with disks loads: ext4, the checksum that it looks up by name, the front end.
DISKS = ("crc32c_generic", "crc16", "mbcache", "jbd2", "ext4", "xen-blkfront")
#: What a Linux guest with network interfaces loads.
VIFS = ("xen-netfront",)


def key(packages: Sequence[Package], arch: Architecture = ARM32) -> list[object]:
    """What the drivers in the store depend on."""
    code = recipes.hashes(*(Path(str(room)) for room in (__file__, deb.__file__, modules.__file__)))
    return [code, dom0.kernel_package(packages, arch).sha256]


def items(
    store: Store,
    packages: Sequence[Package],
    wanted: Sequence[str],
    folder: str,
    arch: Architecture = ARM32,
) -> list[newc.Item]:
    """Drivers as files of ``folder``, and the file ``order`` with their names.

    Raises:
        ImageError: the kernel's package lacks a driver.
    """
    entry = _stored(store, packages, arch)
    files = {Path(name).stem: entry.path / name for name in entry.outputs}

    def find(name: str) -> bytes | None:
        return reading.data(files[name], reading.IMAGE) if name in files else None

    found = modules.ordered(wanted, find)
    order = "".join(f"{name}\n" for name, _ in found).encode()
    return [
        newc.file(f"{folder}/order", order),
        *(newc.file(f"{folder}/{name}.ko", data) for name, data in found),
    ]


def _stored(store: Store, packages: Sequence[Package], arch: Architecture) -> Entry:
    kernel = dom0.kernel_package(packages, arch)

    def build(folder: Path) -> None:
        for name, data in modules.taken([kernel], [*BACKENDS, *DISKS, *VIFS]):
            (folder / f"{name}.ko").write_bytes(data)

    inputs = {"made of": key(packages, arch), "version": kernel.version}
    return store.make("linux-drivers", inputs, build)
