"""Reads files out of Debian binary packages, without installing them.

A package is an ``ar`` archive that holds a compressed tar archive of the files; see deb(5).
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.errors import ImageError
from lab.model import Package
from lab.util import reading

AR_MAGIC = b"!<arch>\n"


@dataclass(frozen=True)
class Member:
    """A file of a package: its content, or the target of a symbolic link."""

    path: str
    data: bytes
    executable: bool = False
    target: str = ""


class Tree:
    """The files of several packages by absolute path. The last package that has a file wins."""

    def __init__(self, members: Sequence[Member] = ()) -> None:
        self._members = {member.path: member for member in members}

    def add(self, member: Member) -> None:
        self._members[member.path] = member

    def find(self, path: str) -> Member | None:
        """The file at ``path``, or ``None``. Follows up to eight symbolic links."""
        for _ in range(8):
            member = self._members.get(path) or self._through_folder(path)
            if member is None or not member.target:
                return member
            path = posixpath.normpath(posixpath.join(posixpath.dirname(member.path), member.target))
        return None

    def data(self, path: str) -> bytes:
        """The content of the file at ``path``; empty if there is no such file."""
        member = self.find(path)
        return member.data if member else b""

    def paths(self) -> list[str]:
        """Every path, sorted."""
        return sorted(self._members)

    def _through_folder(self, path: str) -> Member | None:
        """The file at ``path`` with ``/usr`` added or removed: packages differ in this."""
        other = path.removeprefix("/usr") if path.startswith("/usr/") else f"/usr{path}"
        return self._members.get(other)


def named(packages: Sequence[Package], name: str) -> Package:
    """The package with this name.

    Raises:
        ImageError: there is no such package.
    """
    for package in packages:
        if package.name == name:
            return package
    raise ImageError(f"package {name} is missing from the packages of this image")


def tree(packages: Sequence[Package], wanted: Callable[[str], bool]) -> Tree:
    """The files of ``packages`` whose absolute path is ``wanted``.

    Raises:
        ImageError: a package cannot be read.
    """
    return Tree(list(members(packages, wanted)))


def members(packages: Sequence[Package], wanted: Callable[[str], bool]) -> Iterator[Member]:
    """As :func:`tree`, one after the other. What comes after the last one taken is not read.

    Raises:
        ImageError: a package cannot be read.
    """
    for package in packages:
        yield from _members(package.path, wanted)


def first(package: Package, wanted: Callable[[str], bool]) -> Member | None:
    """The first file of a package whose absolute path is ``wanted``. Reading stops there.

    Raises:
        ImageError: the package cannot be read.
    """
    return next(_members(package.path, wanted), None)


def _members(path: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    try:
        with reading.binary(path) as stream:
            _seek_data(stream)
            with tarfile.open(fileobj=stream, mode="r|*") as tar:
                yield from _wanted_members(tar, wanted)
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise ImageError(
            f"package file cannot be read: {path.name}: {error}",
            hint="remove the file and run the command again: it is fetched again",
        ) from error


def _wanted_members(tar: tarfile.TarFile, wanted: Callable[[str], bool]) -> Iterator[Member]:
    seen: dict[str, Member] = {}
    for info in tar:
        name = posixpath.normpath("/" + info.name)
        if not wanted(name):
            continue
        if info.issym():
            yield Member(name, b"", target=info.linkname)
        elif info.islnk():
            original = seen[posixpath.normpath("/" + info.linkname)]
            yield Member(name, original.data, original.executable)
        elif (stream := tar.extractfile(info)) is not None:
            seen[name] = Member(name, stream.read(), bool(info.mode & 0o111))
            yield seen[name]


def _seek_data(stream: IO[bytes]) -> None:
    """Go to the first byte of the package's tar archive of files."""
    if stream.read(8) != AR_MAGIC:
        raise ValueError("not a Debian package")
    while len(header := stream.read(60)) == 60:
        if header.startswith(b"data.tar"):
            return
        size = int(header[48:58])
        stream.seek(size + size % 2, 1)
    raise ValueError("it has no data.tar")
