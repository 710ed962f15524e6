"""Is a file a kernel that ``xl`` boots here, and how much memory does it take?

libxenguest of Xen 4.17 has loaders for ELF, for the zImage of 32-bit ARM, for arm64's Image, and
for a flat binary with a table of x86 (tools/libs/guest/xg_dom_{elfloader,armzimageloader,
binloader}.c). Of these a 32-bit ARM takes the zImage alone: the types of the others are ones that
it has no machine for. Whatever it is may be packed with gzip (xc_dom_try_gunzip).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.images import kernel_kinds
from lab.images.zimage import TABLE_MAGIC, TAG_KERNEL_SIZE, is_zimage
from lab.util import reading
from lab.util.terminal import quote

#: No kernel and no ramdisk has more, in bytes, packed or not.
LARGEST = 256 << 20
#: Where libxenguest loads a zImage: so far from the start of the guest's RAM, which is here
#: (xg_dom_armzimageloader.c; GUEST_RAM0_BASE in public/arch-arm.h).
LOAD_OFFSET, RAM_BASE = 0x8000, 0x4000_0000
#: What gunzip leaves behind the bytes that it unpacked (xc_dom_check_gzip).
GUNZIP_SLACK = 16
_GZIP = b"\x1f\x8b"
_LEAST = 0x30
_WANTED = "xl boots an ARM zImage, plain or packed with gzip"


@dataclass(frozen=True)
class Linux:
    """What a Linux zImage says of the kernel in it: bytes, and where it wants to lie in RAM."""

    text_offset: int
    size: int
    bss: int


@dataclass(frozen=True)
class Kernel:
    """A file that is given as a kernel.

    ``wrong``: why ``xl`` does not boot it and what to do, to be read behind its name; empty if it
    does. ``placed``: so many bytes are placed in the guest's memory.
    """

    wrong: str = ""
    placed: int = 0
    linux: Linux | None = None
    is_linux: bool = False


def look(path: Path) -> Kernel:
    """What there is to know of a regular file before it boots.

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
    """Why a regular file is no ramdisk for that kernel, to be read behind its name; else empty.

    Any file is one for a kernel that is no Linux.

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
    wanted = "Linux wants a cpio archive (cpio -o -H newc), plain or packed"
    if kind is kernel_kinds.UIMAGE:
        return f"is {kind.name}; {wanted}: {_strip(path.name, 'ramdisk')}"
    if is_zimage(data):
        return f"is an ARM zImage; it is no ramdisk; {wanted}"
    if kind is None or not kind.ramdisk:
        named = "no known kind of file" if kind is None else kind.name
        return f"is {named}; {wanted}"
    return ""


def _read(path: Path) -> bytes | None:
    """The bytes of a file; ``None``: too many, of which none is read."""
    with reading.binary(path) as stream:
        if os.fstat(stream.fileno()).st_size > LARGEST:
            return None
        return stream.read(LARGEST)


def _too_large() -> str:
    return f"is larger than {LARGEST >> 20}M, unpacked or not; is it the right file?"


def _what(data: bytes, name: str) -> str:
    """What a file is that is no kernel, and what to do."""
    kind = kernel_kinds.kind_of(data)
    if kind is kernel_kinds.UIMAGE:
        return _uimage(kind, data, name)
    if kind:
        return f"{kind.name}; {kind.advice}"
    return (
        f"no known kind of kernel; {_WANTED}: a binary of your own must begin with a zImage header "
        "(0x016f2818 at byte 0x24; images/freertos/port/arm32/head.S has one)"
    )


def _uimage(kind: kernel_kinds.Kind, data: bytes, name: str) -> str:
    inside = data[kernel_kinds.UIMAGE_HEADER :]
    if is_zimage(inside) or inside.startswith(_GZIP):
        return f"{kind.name}; xl knows no U-Boot header: {_strip(name, 'zImage')}"
    what = kernel_kinds.kind_of(inside)
    holds = f" that holds {what.name}" if what else ""
    return f"{kind.name}{holds}; {_WANTED}: give the zImage that it was made from"


def _strip(name: str, to: str) -> str:
    start = kernel_kinds.UIMAGE_HEADER + 1
    return f"take the 64 bytes of its header off (tail -c +{start} {quote(name)} > {to})"


def _gzip(data: bytes) -> Kernel:
    unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        inside = unzip.decompress(data, LARGEST + 1)
    except zlib.error:
        return Kernel("is damaged gzip; copy or pack it again")
    if len(inside) > LARGEST:
        return Kernel(_too_large())
    if not unzip.eof:
        return Kernel("is gzip that was cut off; copy or pack it again")
    if unzip.unused_data:  # libxenguest reads from the file's end how large it unpacks
        return Kernel("is gzip with something else behind it; pack it again")
    if found := _plain(inside, GUNZIP_SLACK):
        return found
    kind = kernel_kinds.kind_of(inside)
    what = f"{kind.name}; {_WANTED}" if kind is kernel_kinds.UIMAGE else _what(inside, "")
    return Kernel(f"is gzip, and what it holds is {what if inside else 'empty'}")


def _plain(data: bytes, slack: int) -> Kernel | None:
    loader = next((one for one in LOADERS if one.takes(data)), None)
    return loader.read(data, slack) if loader else None


def _zimage(data: bytes, slack: int) -> Kernel:
    """The header's words: magic, start, end (Documentation/arch/arm/booting.rst)."""
    if len(data) < _LEAST:
        return Kernel("is an ARM zImage that was cut off in its header; copy or build it again")
    start, end = struct.unpack_from("<2I", data, 0x28)
    if end > start and end - start > len(data):
        return Kernel(
            f"is an ARM zImage that was cut off: its header says {end - start} bytes, the file has "
            f"{len(data)}; copy or build it again"
        )
    first = RAM_BASE + LOAD_OFFSET
    if start and not first <= start < first + len(data):
        return Kernel(
            f"is an ARM zImage whose header says that it begins at {start:#x}, and xl loads it at "
            f"{first:#x}; link it for there, or leave the header's start 0"
        )
    is_linux = struct.unpack_from("<I", data.ljust(0x38, b"\0"), 0x34)[0] == TABLE_MAGIC
    return Kernel("", len(data) + slack, _linux(data) if is_linux else None, is_linux)


def _linux(data: bytes) -> Linux | None:
    """The table of sizes (arch/arm/boot/compressed/vmlinux.lds.S); the size of the unpacked kernel
    stands at the end of the packed one."""
    try:
        (table,) = struct.unpack_from("<I", data, 0x38)
        _, tag, at, bss, text_offset = struct.unpack_from("<5I", data, table)
        (size,) = struct.unpack_from("<I", data, at)
    except struct.error:
        return None
    return Linux(text_offset, size, bss) if tag == TAG_KERNEL_SIZE else None


@dataclass(frozen=True)
class Loader:
    """A kind of kernel that ``xl`` boots; ``read`` also gets the bytes to add to ``placed``."""

    takes: Callable[[bytes], bool]
    read: Callable[[bytes, int], Kernel]


#: The kernels of a 32-bit ARM.
LOADERS = (Loader(is_zimage, _zimage),)
