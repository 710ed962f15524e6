"""Linux as a guest: the packaged kernel, and an initramfs of busybox and the user's folder.

The kernel of a guest that is as wide as dom0 is the same as dom0's. A zImage's XZ stream is
unpacked here, because that would take the emulated machine seconds. A kernel of arm64 is not
packed. A kernel that does not look as expected is used as it is packaged.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab.errors import ImageError, UsageError
from lab.images import dom0, drivers, lz4, newc, recipes, zimage
from lab.images.kernel_formats import is_image
from lab.model import (
    ARM32,
    DRIVERS,
    RAM_BASE,
    Architecture,
    GuestImage,
    GuestSpec,
    Image,
    LinuxGuest,
    Package,
)
from lab.packages import deb
from lab.store import Store
from lab.util import reading
from lab.util.files import tree_hashes

#: ARM's ``mov r0, r0`` and ``b``. A branch counts from 8 bytes after itself.
NOTHING, BRANCH, AHEAD = 0xE1A0_0000, 0xEA00_0000, 8
BRANCH_AT = 0x20
#: The header's word after the kernel's end: the byte order (Documentation/arch/arm/booting.rst).
LITTLE_ENDIAN = 0x0403_0201
BUSYBOX = "busybox-static"
#: The first line of an ``init`` that needs nothing but busybox.
SHELL = "#!/bin/busybox sh"
#: The folder of a guest's drivers (images/linux/drivers).
MODULES = "lab/modules"


def build(
    store: Store,
    guest: GuestSpec,
    linux: LinuxGuest,
    packages: Sequence[Package],
    arch: Architecture = ARM32,
) -> GuestImage:
    """The guest's files, from the store or made now.

    ``packages``: those of ``arch``, the architecture that the guest is made for.

    Raises:
        ImageError: a package is missing, or does not hold the kernel or busybox.
        UsageError: the folder cannot be read.
    """
    wanted = (drivers.DISKS if guest.disks else ()) + (drivers.VIFS if guest.vifs else ())
    ramdisk = initramfs(store, linux.files, packages, wanted, arch)
    start = (guest.static_memory if guest.direct_map else RAM_BASE) + zimage.LOADED_AT
    asks = guest.by_xen and arch == ARM32
    made = kernel(store, packages, start if asks else 0, arch)
    return GuestImage(guest.name, made, ramdisk=ramdisk)


def kernel(
    store: Store, packages: Sequence[Package], start: int = 0, arch: Architecture = ARM32
) -> Image:
    """The packaged kernel. A zImage is unpacked, and padded so that it lies at its link address.

    ``start``: where a zImage asks to be loaded; 0: anywhere. ``xl`` does not care, but Xen does,
    where it boots the guest itself (kernel_zimage_place in xen/arch/arm/kernel.c).
    """
    package = dom0.kernel_package(packages, arch)
    inputs = {
        "recipe": recipes.hashes(Path(__file__), Path(zimage.__file__)),
        "package": package.sha256,
        "version": package.version,
        **({"start": start} if start else {}),
    }

    def make(folder: Path) -> None:
        packaged = dom0.vmlinuz(package)
        try:
            found = packaged if is_image(packaged) else placed(zimage.unwrap(packaged), start)
        except ValueError as error:
            (folder / "note").write_text(f"left compressed: {error}\n")
            found = packaged
        (folder / "kernel").write_bytes(found)

    return store.make("linux-kernel", inputs, make).image("kernel")


def placed(unwrapped: zimage.Unwrapped, start: int = 0) -> bytes:
    """A zImage: a header, zeros up to the kernel's place, and the unpacked kernel.

    ``start``: the address to which it asks to be loaded; 0: anywhere.

    Raises:
        ValueError: the kernel's place is before the header's end, or is not a multiple of 4.
    """
    before = unwrapped.text_offset - zimage.LOADED_AT
    if before < BRANCH_AT + 32 or before % 4:
        raise ValueError(f"unexpected text offset {unwrapped.text_offset:#x}")
    words = [NOTHING] * (BRANCH_AT // 4)
    words += [BRANCH | (before - BRANCH_AT - AHEAD) // 4]
    end = start + before + len(unwrapped.image)
    words += [zimage.ZIMAGE_MAGIC, start, end, LITTLE_ENDIAN]
    return struct.pack(f"<{len(words)}I", *words).ljust(before, b"\0") + unwrapped.image


def initramfs(
    store: Store,
    folder: Path,
    packages: Sequence[Package],
    loaded: Sequence[str] = (),
    arch: Architecture = ARM32,
) -> Image:
    """An initramfs of busybox and the files in ``folder``. Linux starts ``init`` first.

    ``loaded``: the drivers that are loaded before it.

    Raises:
        UsageError: ``init`` needs a shell that is not there.
    """
    _check_shell(folder)
    package = deb.named(packages, BUSYBOX)
    inputs: dict[str, Any] = {
        "recipe": recipes.hashes(
            Path(__file__), Path(newc.__file__), Path(lz4.__file__), Path(deb.__file__)
        ),
        "package": package.sha256,
        "files": tree_hashes(folder),
        "modes": {str(path.relative_to(folder)): _mode(path) for path in _files(folder)},
    }
    if loaded:
        script = recipes.hashes(recipes.folder("linux") / "drivers")
        inputs["drivers"] = [list(loaded), script, drivers.key(packages, arch)]

    def make(into: Path) -> None:
        found = [*_base(package), *_items(folder)]
        if loaded:
            script = reading.data(recipes.folder("linux") / "drivers")
            found.append(newc.file(DRIVERS, script, 0o755))
            found += drivers.items(store, packages, loaded, MODULES, arch)
        items = {item.path: item for item in found}
        (into / "initramfs").write_bytes(lz4.compress(newc.archive(items.values())))

    return store.make("linux-initramfs", inputs, make).image("initramfs")


def _check_shell(folder: Path) -> None:
    """Raise a UsageError if ``init`` begins with a program that the guest will not have. Linux
    would say no more than "No working init found"."""
    first = reading.data(folder / "init", reading.IMAGE)[:256].partition(b"\n")[0]
    words = first.removeprefix(b"#!").split() if first.startswith(b"#!") else []
    if not words or words[0] == b"/bin/busybox":
        return
    program = folder / os.fsdecode(words[0]).lstrip("/")
    linked = any(one.is_symlink() for one in program.parents if folder in one.parents)
    if not linked and not os.path.lexists(program):
        shell = os.fsdecode(words[0])
        raise UsageError(
            f"{folder / 'init'} begins with #!{shell}, which the guest does not have",
            hint=f"begin it with '{SHELL}'; '/bin/busybox --install -s' makes the other commands",
        )


def _base(package: Package) -> list[newc.Item]:
    found = deb.tree([package], lambda path: path.endswith("/busybox")).find("/bin/busybox")
    if found is None:
        raise ImageError(f"{package.name} {package.version} has no /bin/busybox")
    return [
        newc.character_device("dev/console", 5, 1),
        newc.file("bin/busybox", found.data, 0o755),
    ]


def _items(folder: Path) -> Iterator[newc.Item]:
    for path in _files(folder):
        where = str(path.relative_to(folder))
        if path.is_symlink():
            yield newc.link(where, str(path.readlink()))
        else:
            yield newc.file(
                where, reading.data(path, reading.IMAGE), 0o755 if where == "init" else _mode(path)
            )


def _files(folder: Path) -> list[Path]:
    """The files that :func:`lab.util.files.tree_hashes` hashes."""
    names = (folder / name for name in sorted(tree_hashes(folder)))
    return [path for path in names if path.is_symlink() or path.is_file()]


def _mode(path: Path) -> int:
    return 0o755 if not path.is_symlink() and os.access(path, os.X_OK) else 0o644
