"""Templates: booted labs, stored so that they need not be booted again.

A template is a folder ``templates/<key>/``: the machine's memory (``ram``, sparse), its device
state (``state``), what its consoles and traces had said (``console/…``, ``trace/…``), and
``manifest.json`` with the sha256 of each, written last, when everything is on the disk. QEMU
does not protect itself: it starts from a damaged state as if it were whole. So nothing of a
template is used before every byte of it was read and compared; the memory's holes count as the
zeros that they read as.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import MachineError
from lab.util import files, reading, waiting

#: Raised when the layout of templates changes, so that old ones are not used.
FORMAT = 1
MANIFEST, RAM, STATE = "manifest.json", "ram", "state"
#: The memory is read, compared and stored in pieces of so many bytes.
PIECE = 1 << 20
_ZEROS = bytes(PIECE)
#: So many templates are kept, of some 150 MB each on the disk.
KEPT = 24
#: As many pieces are hashed at once; hashlib lets other threads run meanwhile.
THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Template:
    """A stored machine. ``stops``: at how many of its stops dom0 had been when it was stored."""

    path: Path
    key: str
    stops: int
    parts: Mapping[str, str]
    about: Mapping[str, Any]

    @property
    def ram(self) -> Path:
        return self.path / RAM

    @property
    def state(self) -> Path:
        return self.path / STATE

    def said(self, what: str) -> Iterator[tuple[str, Path]]:
        """What had been said on consoles (``console``) or traced (``trace``): the file's name in
        the run's folder of these, and the bytes."""
        for name in self.parts:
            if name.startswith(f"{what}/"):
                yield name.removeprefix(f"{what}/"), self.path / name


class Damaged(MachineError):
    """A template is not what was stored; the message names the part."""


def find(root: Path, key: str) -> Template | None:
    """The template of this key, unverified; ``None`` if there is none.

    Raises:
        Damaged: there is one, but its manifest cannot be read or belongs to something else.
    """
    folder = root / key
    if not folder.is_dir():
        return None
    try:
        data = reading.json_file(folder / MANIFEST)
        template = Template(
            folder, data["key"], int(data["stops"]), dict(data["parts"]), data["about"]
        )
        seal = data["seal"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{MANIFEST} of the template {key[:12]} cannot be read: {error}") from error
    if seal != _seal(template) or template.key != key:
        raise Damaged(f"{MANIFEST} of the template {key[:12]} was altered or is another's")
    return template


def verify(template: Template) -> None:
    """Read and compare every part. Nothing may be started from it before this returned.

    Raises:
        Damaged: a part is missing, cut short or altered, or there is one too many.
    """
    there = {
        str(path.relative_to(template.path))
        for path in template.path.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    for name in sorted(set(template.parts) - there):
        raise _damaged(template, name, "is missing")
    for name in sorted(there - set(template.parts) - {MANIFEST}):
        raise _damaged(template, name, "does not belong to it")
    for name, wanted in template.parts.items():
        try:
            found = _digest(template.path / name)
        except OSError as error:
            raise _damaged(template, name, f"cannot be read: {error.strerror}") from error
        if found != wanted:
            raise _damaged(template, name, "was altered")


def store(
    root: Path,
    key: str,
    parts: Mapping[str, Path],
    stops: int,
    about: Mapping[str, Any],
) -> Template:
    """Make a template of ``parts`` (name in the template → file), which are moved into it.

    Raises:
        OSError: there is no room.
    """
    work, held = _begin(root)
    try:
        for name, source in parts.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            _move(source, work / name)
        hashes = {name: _digest(work / name) for name in parts}
        template = Template(work, key, stops, hashes, about)
        _write_manifest(template)
        with contextlib.suppress(FileNotFoundError):
            set_aside(root, key)
        work.rename(root / key)
        _sync(root)
        _make_room(root)
        return Template(root / key, key, stops, hashes, about)
    except BaseException:
        files.remove_tree(work)
        raise
    finally:
        os.close(held)


def _begin(root: Path) -> tuple[Path, int]:
    """A folder to make a template in, and its lock; what killed commands left of theirs goes."""
    with files.locked(root.with_name("locks") / root.name):
        for left in root.glob(".new-*"):
            handle = files.try_lock(left)
            if handle is not None:
                files.remove_tree(left)
                os.close(handle)
        work = root / f".new-{secrets.token_hex(6)}"
        work.mkdir(parents=True)
        handle = files.try_lock(work)
    assert handle is not None, "nobody else knows of it"
    return work, handle


def used(template: Template) -> None:
    """Note that a template was used: those that were not for longest go first."""
    with contextlib.suppress(OSError):
        os.utime(template.path)


def _make_room(root: Path) -> None:
    """Keep the templates that were used last. A lab that runs keeps what it uses."""
    folders = [path for path in root.iterdir() if not path.name.startswith(".new-")]
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in folders[KEPT:]:
        files.remove_tree(path)


def set_aside(root: Path, key: str) -> Path:
    """Take a template out of use; where it lies then. Only the newest of its kind is kept."""
    aside = root / f".aside-{key}"
    files.remove_tree(aside)
    (root / key).rename(aside)
    return aside


def everything(root: Path) -> list[Template]:
    """All templates whose manifests can be read, by key."""
    found = []
    for manifest in sorted(root.glob(f"[0-9a-f]*/{MANIFEST}")):
        with contextlib.suppress(Damaged):
            if template := find(root, manifest.parent.name):
                found.append(template)
    return found


def clean(root: Path) -> int:
    """Remove all templates, also those set aside or half made; how many bytes they had."""
    size = sum(occupied(path) for path in root.glob("*"))
    files.remove_tree(root)
    return size


def occupied(folder: Path) -> int:
    """The bytes that a folder takes on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_sparse(source, target)
        source.unlink()


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file; what is zero becomes a hole."""
    with reading.binary(source) as reader, target.open("wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        os.ftruncate(writer.fileno(), size)
        for at in _pieces(reader.fileno(), size):
            waiting.go_on()
            data = os.pread(reader.fileno(), PIECE, at)
            if data != _ZEROS[: len(data)]:
                os.pwrite(writer.fileno(), data, at)


def _digest(path: Path) -> str:
    """The identity of a file's bytes: the sha256 over its size and its pieces that hold data.

    A piece of zeros counts as none, whether it is a hole or was written.
    """
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link")
    with reading.binary(path) as file:
        handle = file.fileno()
        size = os.fstat(handle).st_size

        def piece(at: int) -> str:
            data = os.pread(handle, PIECE, at)
            if data == _ZEROS[: len(data)]:
                return ""
            return f"{at} {hashlib.sha256(data).hexdigest()}\n"

        lines = []
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            try:
                for line in pool.map(piece, _pieces(handle, size)):
                    waiting.go_on()
                    lines.append(line)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return hashlib.sha256((f"{size}\n" + "".join(lines)).encode()).hexdigest()


def _pieces(handle: int, size: int) -> Iterator[int]:
    """Where the pieces begin in which a file may hold data (lseek(2), SEEK_DATA)."""
    at = 0
    while at < size:
        try:
            at = os.lseek(handle, at, os.SEEK_DATA) // PIECE * PIECE
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        yield at
        at += PIECE


def _damaged(template: Template, part: str, what: str) -> Damaged:
    return Damaged(f"{part} of the template {template.key[:12]} {what}")


def _seal(template: Template) -> str:
    """Over all that the manifest says, so that a flipped bit in it is seen too."""
    about = dict(template.about)
    return files.sha256_json(
        [FORMAT, template.key, template.stops, dict(template.parts), about]
    )  # fmt: skip


def _write_manifest(template: Template) -> None:
    """Last, when the parts are on the disk."""
    for name in template.parts:
        with reading.binary(template.path / name) as file:
            os.fsync(file.fileno())
    data = {
        "key": template.key,
        "stops": template.stops,
        "parts": dict(template.parts),
        "about": dict(template.about),
        "seal": _seal(template),
    }
    files.write_atomic(template.path / MANIFEST, json.dumps(data, indent=1))
    _sync(template.path)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lay(template: Template, consoles: Path, traces: Path) -> None:
    """Begin a run's logs and traces with what the template's had."""
    for what, folder in (("console", consoles), ("trace", traces)):
        for name, path in template.said(what):
            files.copy_file(path, folder / name)
