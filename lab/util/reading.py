"""Opens files that others named or made: only plain files, and only up to a size.

open(2) of a FIFO waits for a writer, a device may do anything, and reading either may never end. So
every file that labs.yaml, the command line, the environment, a run folder or the cache names is
opened here. If it is not a plain file or is too large, that is an ``OSError`` whose ``strerror``
says so.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

#: The default limit for a text or a JSON file, in bytes.
TEXT = 4 << 20
#: The limit for a file from which a guest or a lab boots, or that is kept of one, in bytes.
IMAGE = 1 << 30
#: The bytes of one read.
PIECE = 1 << 18

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unfit(OSError):
    """The file is not a plain file, or it is too large; ``strerror`` says which."""

    hint = "name another, or move away what is there"

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(errno.EINVAL, words, str(path))

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def size(most: int) -> str:
    """A limit in words: ``256 KiB``."""
    return f"{most >> 10} KiB" if most < 1 << 20 else f"{most >> 20} MiB"


def kind(mode: int) -> str:
    """The kind of a file that is not plain, such as ``a FIFO``; empty for a plain file (``st_mode``
    of stat(2))."""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def binary(path: Path, most: int | None = None) -> io.BufferedReader:
    """A plain file, open for reading.

    Its kind is checked before it is opened, because opening a device may already do something. It
    is checked again afterwards, because it may have been replaced meanwhile. Neither can block.

    Raises:
        Unfit: it is not a plain file, or has more than ``most`` bytes.
        OSError: it does not exist, or cannot be opened.
    """
    _fit(path, path.stat(), most)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _fit(path, os.fstat(handle), most)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def data(path: Path, most: int = TEXT) -> bytes:
    """The bytes of a plain file, even if it grows meanwhile.

    Raises:
        OSError: as :func:`binary`.
    """
    with binary(path, most) as stream:
        found = stream.read(most + 1)
    if len(found) > most:
        raise _too_large(path, most)
    return found


def text(path: Path, most: int = TEXT, errors: str = "strict") -> str:
    """The text of a plain file in UTF-8.

    Raises:
        OSError: as :func:`binary`. ValueError: it is not UTF-8.
    """
    return data(path, most).decode("utf-8", errors)


def pieces(path: Path, stream: io.BufferedReader) -> Iterator[bytes]:
    """The bytes of a file that :func:`binary` opened. Its size must not change.

    Raises:
        Unfit: it grows meanwhile.
    """
    return _pieces(path, stream, os.fstat(stream.fileno()).st_size)


def _pieces(path: Path, stream: io.BufferedReader, left: int) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        left -= len(piece)
        if left < 0:
            raise Unfit(path, "grows while it is read")
        yield piece


def json_file(path: Path, most: int = TEXT) -> Any:
    """The value of a JSON file.

    Raises:
        OSError: as :func:`binary`. ValueError: as :func:`parse_json`.
    """
    return parse_json(data(path, most))


def parse_json(raw: bytes | str) -> Any:
    """The value of a JSON text, whoever wrote it. Anything that RFC 8259 does not have is an error.
    So is a name that occurs twice, because readers do not agree on which one counts.

    Raises:
        ValueError: it is not JSON, is nested too deep, or has a number that is out of range.
    """
    try:
        return json.loads(raw, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _fit(path: Path, found: os.stat_result, most: int | None) -> None:
    if what := kind(found.st_mode):
        raise Unfit(path, f"{what}, not a file")
    if most is not None and found.st_size > most:
        raise _too_large(path, most)


def _too_large(path: Path, most: int) -> Unfit:
    return Unfit(path, f"larger than {size(most)}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"the name {name[:80]!r} is there twice")
        seen.add(name)
    raise AssertionError("unreachable")


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def _finite(word: str) -> float:
    found = float(word)
    if math.isinf(found):
        raise ValueError(f"{word[:20]} is out of range")
    return found
