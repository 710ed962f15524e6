"""Checks whether ``xl`` boots a file as a kernel here, and how much memory the kernel takes.

:mod:`lab.images.kernel_formats` has the formats that work. A kernel may be packed with gzip
(xc_dom_try_gunzip of libxenguest; kernel_decompress of Xen).
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from lab.images import kernel_kinds
from lab.images.kernel_formats import FORMATS, Kernel, formats
from lab.images.zimage import is_zimage
from lab.model import ARCHITECTURES, Architecture
from lab.util import reading
from lab.util.terminal import quote

#: The largest kernel or ramdisk in bytes, packed or unpacked.
LARGEST = 256 << 20
#: Bytes that libxenguest adds to the size of a file that it unpacks (xc_dom_check_gzip).
GUNZIP_SLACK = 16
_GZIP = b"\x1f\x8b"


def look(path: Path, arch: Architecture | None = None) -> Kernel:
    """Look at a regular file that is given as a kernel.

    ``arch``: the architecture of the lab; ``None``: any that labs can have.

    Raises:
        OSError: it cannot be read.
    """
    data = _read(path)
    if data is None:
        return Kernel(_too_large())
    if not data:
        return Kernel("is empty")
    if data.startswith(_GZIP):
        return _gzip(data, arch)
    return _plain(data, 0, arch) or Kernel(f"is {_what(data, path.name, arch)}")


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
    for one in FORMATS:
        if one.takes(data):
            return f"is {one.name}, not a ramdisk; {wanted}"
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


def _what(data: bytes, name: str, arch: Architecture | None) -> str:
    """What a file is that ``xl`` does not boot, and what to do."""
    kind = kernel_kinds.kind_of(data)
    if kind is kernel_kinds.UIMAGE:
        return _uimage(kind, data, name, arch)
    if kind:
        return f"{kind.name}; {_advice(kind, arch)}"
    headers = " or ".join(one.header for one in formats(arch))
    return (
        f"not a known kind of kernel; {_wanted(arch)}: a binary of your own must begin with "
        f"{headers}"
    )


def _advice(kind: kernel_kinds.Kind, arch: Architecture | None) -> str:
    """What to do about a file of this kind, in a lab of this architecture."""
    known = formats(arch)
    fit = next((one for one in known if one.arch.elf_machine == kind.machine), None)
    if kind.machine is not None and not fit:
        machines = [arch] if arch else ARCHITECTURES
        words = " or a ".join(kernel_kinds.MACHINES[one.elf_machine] for one in machines)
        return f"the machine is a {words}: give a kernel that was built for it"
    words = fit.linux if fit else " or ".join(one.linux for one in known)
    fit = fit or known[0]
    return kind.advice.format(
        kernel=words, objcopy=f"{fit.arch.bare_compiler}objcopy", header=fit.header
    )


def _wanted(arch: Architecture | None) -> str:
    names = " or ".join(one.name for one in formats(arch))
    return f"xl boots {names}, plain or compressed with gzip"


def _uimage(kind: kernel_kinds.Kind, data: bytes, name: str, arch: Architecture | None) -> str:
    inside = data[kernel_kinds.UIMAGE_HEADER :]
    taken = any(one.takes(inside) for one in FORMATS)
    if taken or inside.startswith(_GZIP):
        to = "Image" if taken and not is_zimage(inside) else "zImage"
        return f"{kind.name}; xl does not read its U-Boot header: {_strip(name, to)}"
    what = kernel_kinds.kind_of(inside)
    holds = f" that holds {what.name}" if what else ""
    files = " or ".join(one.linux.rpartition("/")[2] for one in formats(arch))
    return f"{kind.name}{holds}; {_wanted(arch)}: give the {files} that it was made from"


def _strip(name: str, to: str) -> str:
    start = kernel_kinds.UIMAGE_HEADER + 1
    return f"remove the 64 bytes of its header (tail -c +{start} {quote(name)} > {to})"


def _gzip(data: bytes, arch: Architecture | None) -> Kernel:
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
    if found := _plain(inside, GUNZIP_SLACK, arch):
        return found
    kind = kernel_kinds.kind_of(inside)
    uimage = kind is kernel_kinds.UIMAGE
    what = f"{kind.name}; {_wanted(arch)}" if kind and uimage else _what(inside, "", arch)
    return Kernel(f"is a gzip file, and its content is {what if inside else 'empty'}")


def _plain(data: bytes, slack: int, arch: Architecture | None) -> Kernel | None:
    found = next((one for one in formats(arch) if one.takes(data)), None)
    return found.read(data, slack) if found else None
