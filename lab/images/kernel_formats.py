"""The formats of kernels that ``xl`` boots: one for each architecture of guests.

libxenguest of Xen 4.17 to 4.21 has loaders for the zImage of 32-bit ARM and for arm64's Image
(tools/libs/guest/xg_dom_armzimageloader.c), and Xen's own loader of domains in the device tree
takes the same (xen/arch/arm/kernel.c). Both read the width of the guest from the file. The loaders
for ELF and for a flat binary with a table of x86 belong to guest types that ARM does not have.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.images.zimage import LOADED_AT, TABLE_MAGIC, TAG_KERNEL_SIZE, is_zimage
from lab.model import ARCHITECTURES, ARM32, ARM64, Architecture

#: The address where a guest's RAM starts, on every ARM (GUEST_RAM0_BASE in public/arch-arm.h).
GUEST_RAM = 0x4000_0000
#: The most memory below an Image: the first part of a guest's RAM (GUEST_RAM0_SIZE).
FIRST_RAM = 3 << 30
_LEAST = 0x30
#: An Image's header (Documentation/arch/arm64/booting.rst): its first instruction where it has no
#: mark (before Linux 3.17), and the header's size.
_IMAGE_V0, IMAGE_HEADER = 0x1400_0008, 64


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

    Attributes:
        wrong: why ``xl`` does not boot it and what to do, to be printed after the file's name;
            empty: ``xl`` boots it.
        placed: how many bytes of it ``xl`` places in the guest's memory.
        linux: what a zImage says about the kernel in it.
        is_linux: whether it is Linux.
        width: the guest's width in bits; 0 if it is not known.
        at: where it is placed, in bytes from the start of RAM.
        used: how many bytes it uses from there on, with its variables; 0 if it does not say.
    """

    wrong: str = ""
    placed: int = 0
    linux: Linux | None = None
    is_linux: bool = False
    width: int = 0
    at: int = LOADED_AT
    used: int = 0


@dataclass(frozen=True)
class Format:
    """A format of kernels that ``xl`` boots.

    Attributes:
        arch: the architecture of the guest.
        name: what messages call it. ``header``: what it begins with.
        linux: what Linux's makefiles call such a file.
        takes: whether a file is of this format.
        read: gets the file and the bytes to add to ``placed``.
    """

    arch: Architecture
    name: str
    header: str
    linux: str
    takes: Callable[[bytes], bool]
    read: Callable[[bytes, int], Kernel]


def is_image(data: bytes) -> bool:
    """Whether a file begins with the header of an arm64 Image."""
    if len(data) < IMAGE_HEADER:
        return False
    return ARM64.marks_kernel(data) or struct.unpack_from("<I", data)[0] == _IMAGE_V0


def formats(arch: Architecture | None = None) -> Sequence[Format]:
    """The formats that work in labs of an architecture; ``None``: in any lab."""
    wanted = arch.guests if arch else ARCHITECTURES
    return [one for one in FORMATS if one.arch in wanted]


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
    found = _linux(data) if is_linux else None
    return Kernel("", len(data) + slack, found, is_linux, ARM32.bits)


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


def _image(data: bytes, slack: int) -> Kernel:
    """Reads the header: where the kernel is to lie, and how much memory it takes."""
    text_offset, size, flags = struct.unpack_from("<3Q", data, 8)
    if text_offset >= FIRST_RAM:
        return Kernel(
            f"is an arm64 kernel (Image) that asks to lie {text_offset:#x} bytes above the start "
            "of memory; is its header damaged?"
        )
    marked = ARM64.marks_kernel(data)  # older ones have neither the size nor the flags
    if marked and flags & 1:
        return Kernel("is a big-endian arm64 kernel (Image); xl boots only little-endian kernels")
    placed, used = len(data) + slack, size if marked and size < FIRST_RAM else 0
    return Kernel("", placed, None, b"Linux version " in data, ARM64.bits, text_offset, used)


#: The formats that ``xl`` boots.
FORMATS = (
    Format(
        ARM32, "an ARM zImage",
        "a zImage header (0x016f2818 at byte 0x24; images/freertos/port/arm32/head.S has one)",
        "arch/arm/boot/zImage", is_zimage, _zimage,
    ),
    Format(
        ARM64, "an arm64 Image",
        "an Image header ('ARMd' at byte 0x38; images/freertos/port/arm64/head.S has one)",
        "arch/arm64/boot/Image", is_image, _image,
    ),
)  # fmt: skip
