"""Checks whether ``xl`` boots a file as a kernel here, and how much memory the kernel takes.

libxenguest of Xen 4.17 has loaders for ELF, for the zImage of 32-bit ARM, for arm64's Image, and
for a flat binary with a table of x86 (tools/libs/guest/xg_dom_{elfloader,armzimageloader,
binloader}.c). On a 32-bit ARM only the zImage works, because the others belong to guest types that
this machine does not have. Each may be packed with gzip (xc_dom_try_gunzip).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.images import kernel_kinds
from lab.images.zimage import LOADED_AT, TABLE_MAGIC, TAG_KERNEL_SIZE, is_zimage
from lab.util import reading
from lab.util.terminal import quote

#: The largest kernel or ramdisk in bytes, packed or unpacked.
LARGEST = 256 << 20
#: The address where a guest's RAM starts, on every ARM (GUEST_RAM0_BASE in public/arch-arm.h).
GUEST_RAM = 0x4000_0000
#: Bytes that libxenguest adds to the size of a file that it unpacks (xc_dom_check_gzip).
GUNZIP_SLACK = 16
_GZIP = b"\x1f\x8b"
_LEAST = 0x30
_WANTED = "xl boots an ARM zImage, plain or compressed with gzip"


@dataclass(frozen=True)
class Linux:
    """What a Linux zImage says about its kernel.

    ``text_offset``: where it must lie, in bytes from the start of RAM. ``size``: of the unpacked
    kernel, ``bss``: of its uninitialised data, both in bytes.
    """

    text_offset: int
    size: int
    bss: int


@dataclass(frozen=True)
class Kernel:
    """What was found in a file that is given as a kernel.

    ``wrong``: why ``xl`` does not boot it and what to do, to be printed after the file's name;
    empty: ``xl`` boots it. ``placed``: how many bytes of it ``xl`` places in the guest's memory.
    """

    wrong: str = ""
    placed: int = 0
    linux: Linux | None = None
    is_linux: bool = False


def look(path: Path) -> Kernel:
    """Look at a regular file that is given as a kernel.

    Raises:
        OSError: it cannot be read.
    """
    data = _read(path)
    if data is None:
        return Kernel(_too_large())
    if not data:
        return Kernel("is empty")
    if data.startswith(_GZIP):
        return _gzip(data)
    return _plain(data, 0) or Kernel(f"is {_what(data, path.name)}")


def look_at_ramdisk(path: Path, kernel: Kernel) -> str:
    """Why a regular file is not a ramdisk for ``kernel``, to be printed after its name; else empty.

    For a kernel other than Linux, any file that is neither empty nor too large is a ramdisk.

    Raises:
        OSError: it cannot be read.
    """
    data = _read(path)
    if data is None:
        return _too_large()
    if not data:
        return "is empty"
    if not kernel.is_linux:
        return ""
    kind = kernel_kinds.kind_of(data)
    wanted = "Linux needs a cpio archive (cpio -o -H newc), plain or compressed"
    if kind is kernel_kinds.UIMAGE:
        return f"is {kind.name}; {wanted}: {_strip(path.name, 'ramdisk')}"
    if is_zimage(data):
        return f"is an ARM zImage, not a ramdisk; {wanted}"
    if kind is None or not kind.ramdisk:
        named = "not a known kind of file" if kind is None else kind.name
        return f"is {named}; {wanted}"
    return ""


def _read(path: Path) -> bytes | None:
    """The bytes of a file, or ``None`` if it is too large. Then nothing is read."""
    with reading.binary(path) as stream:
        if os.fstat(stream.fileno()).st_size > LARGEST:
            return None
        return stream.read(LARGEST)


def _too_large() -> str:
    return f"is larger than {LARGEST >> 20}M, compressed or not; is it the right file?"


def _what(data: bytes, name: str) -> str:
    """What a file is that ``xl`` does not boot, and what to do."""
    kind = kernel_kinds.kind_of(data)
    if kind is kernel_kinds.UIMAGE:
        return _uimage(kind, data, name)
    if kind:
        return f"{kind.name}; {kind.advice}"
    return (
        f"not a known kind of kernel; {_WANTED}: a binary of your own must begin with a zImage "
        "header (0x016f2818 at byte 0x24; images/freertos/port/arm32/head.S has one)"
    )


def _uimage(kind: kernel_kinds.Kind, data: bytes, name: str) -> str:
    inside = data[kernel_kinds.UIMAGE_HEADER :]
    if is_zimage(inside) or inside.startswith(_GZIP):
        return f"{kind.name}; xl does not read its U-Boot header: {_strip(name, 'zImage')}"
    what = kernel_kinds.kind_of(inside)
    holds = f" that holds {what.name}" if what else ""
    return f"{kind.name}{holds}; {_WANTED}: give the zImage that it was made from"


def _strip(name: str, to: str) -> str:
    start = kernel_kinds.UIMAGE_HEADER + 1
    return f"remove the 64 bytes of its header (tail -c +{start} {quote(name)} > {to})"


def _gzip(data: bytes) -> Kernel:
    unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        inside = unzip.decompress(data, LARGEST + 1)
    except zlib.error:
        return Kernel("is a damaged gzip file; copy or compress it again")
    if len(inside) > LARGEST:
        return Kernel(_too_large())
    if not unzip.eof:
        return Kernel("is a gzip file that was cut off; copy or compress it again")
    if unzip.unused_data:  # libxenguest reads the unpacked size from the end of the file
        return Kernel("is a gzip file with other data after it; compress it again")
    if found := _plain(inside, GUNZIP_SLACK):
        return found
    kind = kernel_kinds.kind_of(inside)
    what = f"{kind.name}; {_WANTED}" if kind is kernel_kinds.UIMAGE else _what(inside, "")
    return Kernel(f"is a gzip file, and its content is {what if inside else 'empty'}")


def _plain(data: bytes, slack: int) -> Kernel | None:
    loader = next((one for one in LOADERS if one.takes(data)), None)
    return loader.read(data, slack) if loader else None


def _zimage(data: bytes, slack: int) -> Kernel:
    """Reads the header: magic, start, end (Documentation/arch/arm/booting.rst)."""
    if len(data) < _LEAST:
        return Kernel("is an ARM zImage that was cut off in its header; copy or build it again")
    start, end = struct.unpack_from("<2I", data, 0x28)
    if end > start and end - start > len(data):
        return Kernel(
            f"is an ARM zImage that was cut off: its header says {end - start} bytes, the file has "
            f"{len(data)}; copy or build it again"
        )
    first = GUEST_RAM + LOADED_AT
    if start and not first <= start < first + len(data):
        return Kernel(
            f"is an ARM zImage whose header says that it starts at {start:#x}, but xl loads it at "
            f"{first:#x}; link it for that address, or set the start in its header to 0"
        )
    is_linux = struct.unpack_from("<I", data.ljust(0x38, b"\0"), 0x34)[0] == TABLE_MAGIC
    return Kernel("", len(data) + slack, _linux(data) if is_linux else None, is_linux)


def _linux(data: bytes) -> Linux | None:
    """Reads the table of sizes (arch/arm/boot/compressed/vmlinux.lds.S).

    The size of the unpacked kernel is stored at the end of the packed kernel.
    """
    try:
        (table,) = struct.unpack_from("<I", data, 0x38)
        _, tag, at, bss, text_offset = struct.unpack_from("<5I", data, table)
        (size,) = struct.unpack_from("<I", data, at)
    except struct.error:
        return None
    return Linux(text_offset, size, bss) if tag == TAG_KERNEL_SIZE else None


@dataclass(frozen=True)
class Loader:
    """A kind of kernel that ``xl`` boots.

    ``takes``: whether a file is of this kind. ``read``: gets the file and the bytes to add to
    ``placed``.
    """

    takes: Callable[[bytes], bool]
    read: Callable[[bytes, int], Kernel]


#: The kinds of kernel that ``xl`` boots on a 32-bit ARM.
LOADERS = (Loader(is_zimage, _zimage),)
