"""A part of a bundle: the files of a folder, one after another, compressed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import zstandard

from lab.bundle.contents import LINK, File
from lab.errors import BundleError
from lab.util import files, reading, sparse, together

#: How hard the compressor tries. Changing it changes the bytes of every bundle.
LEVEL = 12
#: The largest window that a part may need, in bytes. It is memory.
WINDOW = 1 << 27
_ZEROS = bytes(sparse.BLOCK)


def listed(folder: Path, below: str = "") -> dict[str, str]:
    """All files of a folder as a list of contents has them; ``below`` comes before each path.

    Permissions are 755 for programs and 644 for all other files, whatever the umask was.

    Raises:
        OSError: a file cannot be read.
    """
    return {
        f"{below}{path.relative_to(folder)}": f"{LINK}{path.readlink()}" if is_link else _of(path)
        for path, is_link in files.tree(folder, frozenset())
    }


def usual_mode(text: str) -> str:
    """A file of a list, with one of the two usual permissions."""
    mode, _, rest = text.partition(" ")
    return text if text.startswith(LINK) else f"{'755' if int(mode, 8) & 0o100 else '644'} {rest}"


def made(data: bytes) -> str:
    """A file with these bytes, as lists have it."""
    return f"644 {len(data)} {hashlib.sha256(data).hexdigest()}"


def _of(path: Path) -> str:
    state = path.stat()
    return usual_mode(f"{state.st_mode & 0o777:o} {state.st_size} {files.sha256_file(path)}")


def pack(folder: Path, paths: Mapping[str, str], to: IO[bytes], ready: Mapping[str, bytes]) -> None:
    """Write the files of a folder. Those in ``ready`` are written in place of the folder's.

    The result depends on nothing but the bytes, not even on the number of processors.

    Raises:
        BundleError: a file is not what the list says. OSError: it cannot be read or written.
    """
    packer = zstandard.ZstdCompressor(level=LEVEL, threads=-1, write_checksum=True)
    with packer.stream_writer(to, closefd=False) as stream:
        for path, text in sorted(paths.items()):
            if text.startswith(LINK):
                continue
            together.go_on()
            pieces = iter([ready[path]]) if path in ready else _read(folder / path)
            if _copied(pieces, stream) != File.of(text).sha256:
                raise BundleError(f"{folder / path} changes while the bundle is saved")


def _copied(pieces: Iterator[bytes], stream: zstandard.ZstdCompressionWriter) -> str:
    """Write pieces of a file; returns their sha256."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
        stream.write(piece)
    return found.hexdigest()


def _read(path: Path) -> Iterator[bytes]:
    with reading.binary(path) as source:
        yield from reading.pieces(path, source)


def unpack(source: IO[bytes], paths: Mapping[str, str], folder: Path) -> None:
    """Read a part and write its files into a new folder. Every byte is compared with the list.

    Raises:
        BundleError: they are not what the list says. OSError: a file cannot be written.
    """
    unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW)
    try:
        with unpacker.stream_reader(source) as stream:
            for path, text in sorted(paths.items()):
                together.go_on()
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                file = File.of(text)
                if text.startswith(LINK):
                    target.symlink_to(file.target)
                else:
                    _write(stream, path, file, target)
            if stream.read(1):
                raise BundleError("a part has more bytes than its list says")
    except zstandard.ZstdError as error:
        raise BundleError(f"a part cannot be unpacked: {error}") from None


def _write(stream: zstandard.ZstdDecompressionReader, path: str, file: File, target: Path) -> None:
    """Write one file. Blocks of zeros become holes, as in the memory of a template."""
    found, left = hashlib.sha256(), file.size
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as to:
        while left:
            piece = stream.read(min(sparse.BLOCK, left))
            if not piece:
                raise BundleError(f"a part ends in the middle of {path}")
            found.update(piece)
            left -= len(piece)
            if piece == _ZEROS:
                to.seek(len(piece), os.SEEK_CUR)
            else:
                to.write(piece)
        to.truncate(file.size)
        os.fchmod(to.fileno(), file.mode)
    if found.hexdigest() != file.sha256:
        raise BundleError(f"{path} is not what the list says: its sha256 is {found.hexdigest()}")
