"""Small made-up files in the formats that images are made of."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.images import zimage
from lab.model import Package
from lab.util import files

ELF_HEADER, SEGMENT, SECTION = 52, 32, 40


def library(needed: Sequence[str] = (), interpreter: str = "") -> bytes:
    """An ELF file that needs these libraries, and this loader if it is a program."""
    strings, offsets = b"\0", []
    for name in needed:
        offsets.append(len(strings))
        strings += name.encode() + b"\0"
    at = ELF_HEADER + 3 * SEGMENT
    interp = interpreter.encode() + b"\0"
    table = at + len(interp)
    entries = [(1, offset) for offset in offsets] + [(5, 0x10000 + table), (0, 0)]
    dynamic = b"".join(struct.pack("<2I", *entry) for entry in entries)
    end = table + len(strings) + len(dynamic)
    segments = [
        (1, 0, 0x10000, 0, end, end, 5, 0x1000),
        (2, table + len(strings), 0, 0, len(dynamic), len(dynamic), 6, 4),
        (3 if interpreter else 0, at, 0, 0, len(interp), len(interp), 4, 1),
    ]
    header = _elf_header(segments=3)
    return header + b"".join(struct.pack("<8I", *s) for s in segments) + interp + strings + dynamic


def module(name: str, depends: Sequence[str] = (), vermagic: str = "") -> bytes:
    """A kernel module that says what it is, what it depends on, and for which kernel it is."""
    info = f"name={name}\0depends={','.join(depends)}\0license=GPL\0".encode()
    info += f"vermagic={vermagic}\0".encode() if vermagic else b""
    names = b"\0.modinfo\0.shstrtab\0"
    sections = ELF_HEADER + len(info) + len(names)
    table = [
        (0, 0, 0, 0, 0, 0),
        (1, 1, 0, 0, ELF_HEADER, len(info)),
        (10, 3, 0, 0, ELF_HEADER + len(info), len(names)),
    ]
    packed = b"".join(struct.pack("<10I", *row, 0, 0, 1, 0) for row in table)
    return _elf_header(sections=(sections, 3, 2)) + info + names + packed


def program(sections: Sequence[tuple[int, int]]) -> bytes:
    """An ELF file whose sections have these addresses and sizes, and no content."""
    headers = [
        struct.pack("<10I", 0, 8, 2, address, 0, size, 0, 0, 0, 0) for address, size in sections
    ]
    return _elf_header(sections=(ELF_HEADER, len(headers), 0)) + b"".join(headers)


def _elf_header(segments: int = 0, sections: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    where, count, names = sections
    return struct.pack(
        "<16sHHIIIIIHHHHHH",
        b"\x7fELF\x01\x01\x01", 3, 40, 1, 0, ELF_HEADER if segments else 0, where, 0,
        ELF_HEADER, SEGMENT, segments, SECTION, count, names,
    )  # fmt: skip


def vmlinuz(
    image: bytes, text_offset: int = 0x208000, *, false_match: bool = True,
    size: int | None = None, packed: str = "xz",
) -> bytes:  # fmt: skip
    """A zImage that holds ``image`` as the kernel's build would: header, code, XZ, table.

    With ``packed="gzip"`` the kernel's size is the last word of the stream itself.
    """
    head = bytearray(0x40)
    code = (zimage.XZ_MAGIC + b"no stream") if false_match else b"code"
    stream = lzma.compress(image, lzma.FORMAT_XZ)
    body = code + stream
    if packed == "gzip":
        body = b"code \x1f\x8b\x08 no stream" + gzip.compress(image)[:-4]
    end = len(head) + len(body)
    table = end + 4
    struct.pack_into("<I", head, 0x24, zimage.ZIMAGE_MAGIC)
    struct.pack_into("<2I", head, 0x34, zimage.TABLE_MAGIC, table)
    rows = (6, zimage.TAG_KERNEL_SIZE, end, 0x1000, text_offset, 0x10000)
    length = struct.pack("<I", len(image) if size is None else size)
    return bytes(head) + body + length + struct.pack("<6I", *rows)


def package(folder: Path, name: str, contents: Mapping[str, bytes | str]) -> Package:
    """A Debian package file. Values are contents, or targets of symbolic links."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for path, value in contents.items():
            info = tarfile.TarInfo(f"./{path.lstrip('/')}")
            if isinstance(value, str):
                info.type, info.linkname = tarfile.SYMTYPE, value
                tar.addfile(info)
            else:
                info.size, info.mode = len(value), 0o755
                tar.addfile(info, io.BytesIO(value))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    made = folder / f"{name}.deb"
    made.write_bytes(b"!<arch>\n" + b"".join(_ar(key, value) for key, value in members.items()))
    return Package(name, "1.0", "armhf", files.sha256_file(made), made.stat().st_size, made)


def _ar(name: str, data: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
    return header + data + b"\n" * (len(data) % 2)
