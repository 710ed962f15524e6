"""The file of a bundle: a tar that begins with the list of contents."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lab.bundle import contents
from lab.bundle.contents import Contents, Member
from lab.errors import BundleError
from lab.util import files, reading, together

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: The limit for the file, in bytes.
LARGEST = 64 << 30
_PIECE = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle that is open for reading. ``starts``: where the bytes of each member begin."""

    path: Path
    contents: Contents
    starts: Mapping[str, int]
    _stream: IO[bytes]

    def verify(self, only: frozenset[str] | None = None) -> None:
        """Compare all members, or those of these names, with the list.

        Raises:
            BundleError: one differs.
        """
        for member in self.contents.members:
            if only is None or member.name in only:
                self._verify(member)

    def _verify(self, member: Member) -> None:
        found = hashlib.sha256()
        source = self.open(member)
        while piece := source.read(_PIECE):
            together.go_on()
            found.update(piece)
        if found.hexdigest() != member.sha256:
            words = f"{member.name} is damaged: its bytes are not those of the list"
            raise _refused(self.path, BundleError(words, hint=_AGAIN))

    def open(self, member: Member) -> IO[bytes]:
        """The bytes of a member. Only one member may be read at a time."""
        self._stream.seek(self.starts[member.name])
        return io.BufferedReader(_Slice(self._stream, member.size), _PIECE)

    def read(self, member: Member) -> bytes:
        """The bytes of a member that is small."""
        return self.open(member).read()


_AGAIN = "copy or download the bundle again"


@contextlib.contextmanager
def opened(path: Path, sha256: str = "") -> Iterator[Bundle]:
    """A bundle, open for reading. Its list is read and checked, not its other bytes.

    ``sha256``: the digest that the whole file must have; empty: any.

    Raises:
        BundleError: the file is not a bundle, is cut off, or has another digest.
    """
    try:
        with reading.binary(path, LARGEST) as stream:
            if sha256:
                _check_digest(path, sha256)
            try:
                found, starts = _members(stream)
            except BundleError as error:
                raise _refused(path, error) from None
            yield Bundle(path, found, starts, stream)
    except OSError as error:
        if error.filename != str(path):
            raise
        words = f"the bundle {path} cannot be read: {error.strerror}"
        raise BundleError(words, hint="name a file that bundle.save wrote") from error


def _check_digest(path: Path, sha256: str) -> None:
    found = files.sha256_file(path)
    if found != sha256.strip().lower():
        words = f"{path} has sha256 {found}, not {sha256}"
        raise BundleError(words, hint="do not use it, unless you can say why it differs")


def _members(stream: IO[bytes]) -> tuple[Contents, dict[str, int]]:
    """The list, and where each member begins. The tar must have exactly the members of the list."""
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            raw = _head(tar, contents.NAME, contents.LARGEST_LIST)
            if _head(tar, contents.DIGEST, 64).decode("ascii") != hashlib.sha256(raw).hexdigest():
                raise BundleError("its list of contents is damaged", hint=_AGAIN)
            found = contents.parse(raw)
            starts = {one.name: _start(tar, one) for one in found.members}
            _check_end(stream, found, starts)
            if tar.next() is not None:
                raise BundleError("it has members that are not in its list")
    except (tarfile.TarError, EOFError, ValueError) as error:
        words = "it is not a bundle, or is cut off"
        raise BundleError(f"{words}: {error}", hint=_AGAIN) from None
    return found, starts


def _head(tar: tarfile.TarFile, name: str, most: int) -> bytes:
    """The bytes of one of the first members."""
    head = tar.next()
    if head is None or head.name != name or not head.isreg():
        raise BundleError("it is not a bundle", hint="name a file that bundle.save wrote")
    if head.size > most:
        raise BundleError(f"its {name} is too long")
    extracted = tar.extractfile(head)
    assert extracted is not None
    return extracted.read()


def _start(tar: tarfile.TarFile, member: Member) -> int:
    """Where a member's bytes begin, which must be the next one in the tar."""
    found = tar.next()
    if found is None:
        raise BundleError(f"it is cut off: {member.name} is missing", hint=_AGAIN)
    if (found.name, found.size, found.isreg()) != (member.name, member.size, True):
        words = f"{found.name[:80]!r} stands where its list has {member.name}"
        raise BundleError(words, hint=_AGAIN)
    return found.offset_data


def _check_end(stream: IO[bytes], found: Contents, starts: Mapping[str, int]) -> None:
    size = stream.seek(0, io.SEEK_END)
    for one in found.members:
        if starts[one.name] + one.size > size:
            raise BundleError(f"it is cut off in the middle of {one.name}", hint=_AGAIN)


def _refused(path: Path, error: BundleError) -> BundleError:
    return BundleError(f"the bundle {path} is refused: {error.message}", hint=error.hint)


class _Slice(io.RawIOBase):
    """Some bytes of a file, from where it stands."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._stream.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)


def write(path: Path, found: Contents, sources: Mapping[str, Path | bytes]) -> None:
    """Write a bundle, whole or not at all. ``sources``: the bytes of each member.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        with (
            new.open("wb") as to,
            tarfile.open(fileobj=to, mode="w:", format=tarfile.GNU_FORMAT) as tar,
        ):
            _add(tar, contents.NAME, found.dump())
            _add(tar, contents.DIGEST, found.digest.encode())
            for member in found.members:
                _add(tar, member.name, sources[member.name])
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _add(tar: tarfile.TarFile, name: str, source: Path | bytes) -> None:
    """Add a member that belongs to nobody and was never changed."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    if isinstance(source, bytes):
        info.size = len(source)
        tar.addfile(info, io.BytesIO(source))
        return
    with reading.binary(source) as stream:
        info.size = source.stat().st_size
        tar.addfile(info, stream)
