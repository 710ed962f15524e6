"""Writes cpio archives in the "newc" format, the one that Linux unpacks as an initramfs.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. The same
entries always give the same bytes: they are sorted by path, all times are 0, all owners root.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

#: Archives are padded to a multiple of this many bytes, because unpackers read them in such blocks
#: (the kernel does not).
BLOCK = 512

#: The name that ends an archive.
TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Item:
    """One entry. ``mode``: type and permissions; ``data``: the content or a link's target;
    ``device``: major and minor number."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(path: str, permissions: int = 0o755) -> Item:
    return Item(path, stat.S_IFDIR | permissions)


def file(path: str, data: bytes, permissions: int = 0o644) -> Item:
    return Item(path, stat.S_IFREG | permissions, data)


def link(path: str, target: str) -> Item:
    """A symbolic link."""
    return Item(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, permissions: int = 0o600) -> Item:
    return Item(path, stat.S_IFCHR | permissions, device=(major, minor))


def archive(items: Iterable[Item]) -> bytes:
    """The archive of ``items`` and of the folders that hold them.

    Raises:
        ValueError: two items have the same path, or a path is not plain and relative.
    """
    wanted: dict[str, Item] = {}
    for item in items:
        if item.path in wanted or item.path in (TRAILER, "") or item.path != _plain(item.path):
            raise ValueError(f"not a plain path, or given twice: {item.path!r}")
        wanted[item.path] = item
    for path in list(wanted):
        for parent in _parents(path):
            wanted.setdefault(parent, folder(parent))
    parts = [_entry(number, wanted[path]) for number, path in enumerate(sorted(wanted), 1)]
    whole = b"".join([*parts, _entry(0, Item(TRAILER, 0))])
    return whole + b"\0" * (-len(whole) % BLOCK)


def _entry(inode: int, item: Item) -> bytes:
    name = item.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(item.mode) else 1
    fields = (
        inode, item.mode, 0, 0, links, 0, len(item.data), 0, 0, *item.device, len(name), 0,
    )  # fmt: skip
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    return _padded(header + name) + _padded(item.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _parents(path: str) -> list[str]:
    pieces = path.split("/")[:-1]
    return ["/".join(pieces[: count + 1]) for count in range(len(pieces))]


def _plain(path: str) -> str:
    return "/".join(piece for piece in path.split("/") if piece not in ("", ".", ".."))
