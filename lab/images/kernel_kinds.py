"""Recognises by its first bytes a file that is given as a guest's kernel or ramdisk.

Each kind is a row of :data:`KINDS`, and the first row that fits is used.
:mod:`lab.images.kernel_formats` has the kinds that ``xl`` boots.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

ELF_MAGIC = b"\x7fELF"
#: The machine of an ELF file (elf.h, EM_…).
MACHINES = {
    3: "32-bit x86", 8: "MIPS", 20: "PowerPC", 21: "64-bit PowerPC", 22: "S/390", 40: "32-bit ARM",
    62: "64-bit x86", 183: "64-bit ARM", 243: "RISC-V",
}  # fmt: skip
#: The type of an ELF file (elf.h, ET_…).
ELF_TYPES = {1: "object file", 2: "program", 3: "program or library", 4: "core dump"}

_UNPACK = "xl unpacks only gzip: unpack it first"
_LINUX = "give the kernel's {kernel} (Debian's /boot/vmlinuz)"
_FLAT = (
    "xl accepts no ELF file on ARM: make a flat binary of it ({objcopy} -O binary) and give that "
    "binary; it must begin with {header}"
)
_TEXT = "is the path right?"


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: what messages call it.
        marks: (offset, bytes) that it has.
        advice: what to do if it is given as a kernel. ``{kernel}``, ``{objcopy}`` and ``{header}``
            stand for what :class:`lab.images.kernel_formats.Format` says of the machine.
        ramdisk: whether Linux takes it as a ramdisk.
        machine: the machine that it is for, as in ELF files; ``None``: any.
    """

    name: str
    marks: tuple[tuple[int, bytes], ...]
    advice: str
    ramdisk: bool = False
    machine: int | None = None


#: U-Boot's header (include/image.h), followed by its content. The header has 64 bytes.
UIMAGE = Kind("a U-Boot image (uImage)", ((0, b"\x27\x05\x19\x56"),), "")
UIMAGE_HEADER = 64

_INITRAMFS = "it is not a kernel: give it as 'ramdisk'"

KINDS = (
    Kind("an arm64 kernel (Image)", ((56, b"ARMd"),), "", machine=183),
    Kind("a compressed arm64 Linux kernel (EFI zboot)", ((0, b"MZ"), (4, b"zimg")),
         "xl does not unpack it: give the Image that it holds", machine=183),
    Kind("a RISC-V Linux kernel (Image)", ((56, b"RSC\x05"),), "", machine=243),
    Kind("an x86 Linux kernel (bzImage)", ((0x202, b"HdrS"),), "", machine=62),
    Kind("a big-endian ARM zImage", ((0x24, b"\x01\x6f\x28\x18"),),
         "xl boots only little-endian kernels"),
    UIMAGE,
    Kind("a device tree or a U-Boot FIT image", ((0, b"\xd0\x0d\xfe\xed"),),
         "give the kernel that it holds (dumpimage -T flat_dt -p 0 -o kernel FILE)"),
    Kind("an Android boot image", ((0, b"ANDROID!"),), "give the kernel that it holds"),
    Kind("an EFI program", ((0, b"MZ"),), _LINUX),
    Kind("an initramfs (cpio)", ((0, b"070701"),), _INITRAMFS, ramdisk=True),
    Kind("an initramfs (cpio)", ((0, b"070702"),), _INITRAMFS, ramdisk=True),
    Kind("a cpio archive in the old format", ((0, b"070707"),),
         "Linux accepts only the new format: cpio -o -H newc"),
    Kind("gzip", ((0, b"\x1f\x8b"),), _UNPACK, ramdisk=True),
    Kind("xz", ((0, b"\xfd7zXZ\x00"),), f"{_UNPACK} (xz -d)", ramdisk=True),
    Kind("zstd", ((0, b"\x28\xb5\x2f\xfd"),), f"{_UNPACK} (zstd -d)", ramdisk=True),
    Kind("lz4", ((0, b"\x02\x21\x4c\x18"),), f"{_UNPACK} (lz4 -d)", ramdisk=True),
    Kind("lz4 in the frame format", ((0, b"\x04\x22\x4d\x18"),),
         "Linux accepts only lz4's old format (lz4 -l)"),
    Kind("bzip2", ((0, b"BZh"),), f"{_UNPACK} (bzip2 -d)", ramdisk=True),
    Kind("lzop", ((0, b"\x89LZO"),), f"{_UNPACK} (lzop -d)", ramdisk=True),
    Kind("lzma", ((0, b"\x5d\0\0"),), f"{_UNPACK} (xz -d --format=lzma)", ramdisk=True),
    Kind("a tar archive", ((257, b"ustar"),), "give the kernel that is in it"),
    Kind("a zip archive", ((0, b"PK\x03\x04"),), "give the kernel that is in it"),
    Kind("a Debian package", ((0, b"!<arch>\ndebian"),),
         "unpack it (dpkg-deb -x FILE FOLDER) and give the kernel in its boot folder"),
    Kind("a library (ar archive)", ((0, b"!<arch>\n"),),
         "link a program with it, and give a flat binary of that"),
    Kind("a squashfs file system", ((0, b"hsqs"),), "give the kernel that is in it", ramdisk=True),
    Kind("an ext file system", ((1080, b"\x53\xef"),), "give the kernel that is in it",
         ramdisk=True),
    Kind("a qcow2 disk", ((0, b"QFI\xfb"),), "give the kernel that is on it"),
    Kind("a CD image", ((0x8001, b"CD001"),), "give the kernel that is on it"),
    Kind("a Git LFS pointer", ((0, b"version https://git-lfs"),), "fetch it: git lfs pull"),
    Kind("a script", ((0, b"#!"),), _TEXT),
    Kind("a web page", ((0, b"<!DOCTYPE"),), "the file itself was not downloaded"),
    Kind("a web page", ((0, b"<html"),), "the file itself was not downloaded"),
)  # fmt: skip
_TEXT_BYTES = frozenset(b"\t\n\r\f\x1b") | frozenset(range(0x20, 0x7F))


def kind_of(data: bytes) -> Kind | None:
    """The kind of a file with these first bytes, or ``None`` if it is not known."""
    if data.startswith(ELF_MAGIC):
        return _elf(data)
    for kind in KINDS:
        if all(data[at : at + len(mark)] == mark for at, mark in kind.marks):
            return kind
    begin = data[:1024]
    if b"\n" in begin and set(begin) <= _TEXT_BYTES:
        return Kind("a text file", (), _TEXT)
    return None


def machine_of(data: bytes) -> int:
    """The machine that an ELF file is for (EM_…)."""
    return _type_and_machine(data)[1]


def _type_and_machine(data: bytes) -> tuple[int, int]:
    """Both are at the same offset for every class and byte order (elf(5))."""
    order = ">" if data[5:6] == b"\x02" else "<"
    kind, machine = struct.unpack_from(f"{order}2H", data.ljust(20, b"\0"), 16)
    return kind, machine


def _elf(data: bytes) -> Kind:
    kind, machine = _type_and_machine(data)
    what = MACHINES.get(machine, f"machine {machine}")
    name = f"an ELF {ELF_TYPES.get(kind, 'file')} for {what}"
    return Kind(name, (), _LINUX if b"Linux version " in data else _FLAT, machine=machine)
