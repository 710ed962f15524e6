"""How ELF files are laid out (elf(5)): one :class:`Layout` for each class of files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A structure: its format for :mod:`struct`, and the names of its fields, in order."""

    format: str
    fields: str

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return struct.calcsize(self.format)

    def at(self, data: bytes, offset: int) -> dict[str, int]:
        """The fields of the one at ``offset`` bytes.

        Raises:
            struct.error: the data ends before it does.
        """
        return self._named(struct.unpack_from(self.format, data, offset))

    def packed(self, **values: int) -> bytes:
        """One with these fields; the others are 0."""
        return struct.pack(self.format, *(values.get(name, 0) for name in self.fields.split()))

    def each(self, data: bytes) -> Iterator[dict[str, int]]:
        """The fields of each one in a table.

        Raises:
            struct.error: the last one is not complete.
        """
        return map(self._named, struct.iter_unpack(self.format, data))

    def _named(self, values: tuple[int, ...]) -> dict[str, int]:
        return dict(zip(self.fields.split(), values, strict=True))


@dataclass(frozen=True)
class Layout:
    """The structures of one class of ELF files."""

    header: Part
    segment: Part
    section: Part
    symbol: Part
    dynamic: Part


#: The layout of the files that begin so: magic number, class, byte order.
LAYOUTS = {
    b"\x7fELF\x01\x01": Layout(
        header=Part("<16x2H5I6H", "type machine version entry segments sections flags size "
                    "segment_size segment_count section_size section_count section_names"),
        segment=Part("<8I", "type offset address physical size in_memory flags align"),
        section=Part("<10I", "name type flags address offset size link info align entry_size"),
        symbol=Part("<3I2BH", "name value size info other section"),
        dynamic=Part("<2I", "tag value"),
    ),
    b"\x7fELF\x02\x01": Layout(
        header=Part("<16x2HI3QI6H", "type machine version entry segments sections flags size "
                    "segment_size segment_count section_size section_count section_names"),
        segment=Part("<2I6Q", "type flags offset address physical size in_memory align"),
        section=Part("<2I4Q2I2Q",
                     "name type flags address offset size link info align entry_size"),
        symbol=Part("<I2BH2Q", "name info other section value size"),
        dynamic=Part("<2Q", "tag value"),
    ),
}  # fmt: skip


def is_elf(data: bytes) -> bool:
    """Whether these are the bytes of an ELF file of a known layout."""
    found = LAYOUTS.get(data[:6])
    return found is not None and len(data) >= found.header.size


def layout_of(data: bytes) -> Layout:
    """The layout of an ELF file.

    Raises:
        ValueError: it is not an ELF file, or one of another class or byte order.
    """
    if not is_elf(data):
        raise ValueError("not a little-endian ELF file")
    return LAYOUTS[data[:6]]


def sections_of(data: bytes) -> list[dict[str, int]]:
    """The headers of an ELF file's sections.

    Raises:
        ValueError: as :func:`layout_of`.
        struct.error: the file is damaged.
    """
    layout = layout_of(data)
    header = layout.header.at(data, 0)
    table, size = header["sections"], header["section_size"]
    return [layout.section.at(data, table + n * size) for n in range(header["section_count"])]
