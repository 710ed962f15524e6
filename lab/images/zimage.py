"""Unpacks the kernel of an ARM zImage and builds an uncompressed zImage.

A stock zImage contains an XZ or gzip stream that the emulated machine would need seconds to unpack.
The header is described in the kernel's Documentation/arch/arm/booting.rst and
arch/arm/boot/compressed/head.S; its table (tag ``KLSZ``), made for kexec by
arch/arm/boot/compressed/vmlinux.lds.S, says where the compressed kernel ends, how much
uninitialised memory it needs and at which offset from the start of RAM it must lie.
"""

from __future__ import annotations

import lzma
import re
import struct
import zlib
from dataclasses import dataclass

ZIMAGE_MAGIC = 0x016F_2818
TABLE_MAGIC = 0x4545_4545
TAG_KERNEL_SIZE = 0x5A53_4C4B
#: Where ``xl`` loads a guest's zImage, in bytes from the start of its RAM, whatever the header asks
#: for (tools/libs/guest/xg_dom_armzimageloader.c of Xen).
LOADED_AT = 0x8000
XZ_MAGIC = b"\xfd7zXZ\x00"
GZIP_MAGIC = b"\x1f\x8b\x08"
#: The largest unpacked kernel in bytes.
LARGEST = 256 << 20

#: Xen loads dom0's kernel into the first 128 MiB of its RAM, as high as it can, at a
#: multiple of 2 MiB (xen/arch/arm/kernel.c, kernel_zimage_place).
WINDOW = 128 << 20
ALIGNMENT = 2 << 20


@dataclass(frozen=True)
class Unwrapped:
    """The kernel inside a zImage. Sizes and offsets are bytes.

    ``text_offset`` is where the image must lie, counted from the start of RAM.
    """

    image: bytes
    text_offset: int
    bss_size: int


def is_zimage(data: bytes) -> bool:
    """Whether a file begins with the header of an ARM zImage."""
    return len(data) >= 0x40 and struct.unpack_from("<I", data, 0x24)[0] == ZIMAGE_MAGIC


def unwrap(zimage: bytes) -> Unwrapped:
    """Unpack the kernel of a zImage that is compressed with XZ or gzip.

    Raises:
        ValueError: the zImage does not look as expected. The message says why.
    """
    if not is_zimage(zimage):
        raise ValueError("no zImage header")
    magic, table = struct.unpack_from("<2I", zimage, 0x34)
    if magic != TABLE_MAGIC or table + 24 > len(zimage):
        raise ValueError("the zImage has no table of sizes")
    _, tag, end, bss_size, text_offset = struct.unpack_from("<5I", zimage, table)
    if tag != TAG_KERNEL_SIZE or end + 4 > len(zimage):
        raise ValueError("the zImage's table of sizes has no kernel size")
    image = _unpack(zimage, end)
    (size,) = struct.unpack_from("<I", zimage, end)
    if size != len(image):
        raise ValueError(f"the kernel unpacks to {len(image)} bytes, its zImage says {size}")
    _check_fits(len(image), text_offset, bss_size)
    return Unwrapped(image, text_offset, bss_size)


def wrap(stub: bytes, image: bytes) -> bytes:
    """Put the uncompressed kernel after the lab's stub (images/dom0/stub.S).

    Raises:
        ValueError: the stub is not a zImage header, or its length is not a multiple of 32.
    """
    if not is_zimage(stub) or len(stub) % 32:
        raise ValueError("the stub is not a zImage header of whole 32-byte blocks")
    return stub + image


def padded(image: bytes, block: int = 32) -> bytes:
    """``image``, padded with zeros to a multiple of the bytes that the stub copies at once."""
    return image + b"\0" * (-len(image) % block)


def _unpack(zimage: bytes, end: int) -> bytes:
    """Unpack the stream whose kernel's size stands at ``end``.

    The size follows an XZ stream; in a gzip stream it is the last word (RFC 1952, ISIZE).
    """
    found = _unpack_xz(zimage, end) or _unpack_gzip(zimage[: end + 4])
    if found is None:
        raise ValueError(
            "the zImage holds no XZ stream that ends where its table says, nor a gzip one"
        )
    return found


def _unpack_gzip(zimage: bytes) -> bytes | None:
    for match in re.finditer(re.escape(GZIP_MAGIC), zimage):
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            image = decoder.decompress(zimage[match.start() :], LARGEST)
        except zlib.error:
            continue
        if decoder.eof and not decoder.unused_data:
            return image
    return None


def _unpack_xz(zimage: bytes, end: int) -> bytes | None:
    """The XZ stream that ends at ``end``. Code can contain the magic too: try each place."""
    for match in re.finditer(re.escape(XZ_MAGIC), zimage[:end]):
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        try:
            image = decoder.decompress(zimage[match.start() : end])
        except lzma.LZMAError:
            continue
        if decoder.eof and not decoder.unused_data:
            return image
    return None


def _check_fits(size: int, text_offset: int, bss_size: int) -> None:
    """Check that the loaded file and the place that it copies itself to do not overlap."""
    if text_offset % 32 or text_offset >= WINDOW:
        raise ValueError(f"unexpected text offset {text_offset:#x}")
    if text_offset + 2 * size + bss_size + 2 * ALIGNMENT > WINDOW:
        raise ValueError(f"a kernel of {size} bytes cannot be copied within {WINDOW} bytes")
