"""Files: written whole or not at all, hashed, copied, locked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from lab.util import digests, reading

#: How often a folder is removed into which others still write.
REMOVALS = 3
#: The largest tree of sources that is accepted; Linux has 80,000 files and 2 GiB.
MOST_FILES, LARGEST_TREE = 200_000, 8 << 30


def sha256_file(path: Path) -> str:
    """The sha256 of a plain file's bytes, in hexadecimal.

    Raises:
        OSError: as for :func:`lab.util.reading.binary`, or the file grows while it is read.
    """
    with reading.binary(path) as stream:

        def read() -> str:
            found = hashlib.sha256()
            for piece in reading.pieces(path, stream):
                found.update(piece)
            return found.hexdigest()

        return digests.of("sha256", stream.fileno(), read)


def copy_file(source: Path, target: Path, most: int = reading.IMAGE) -> None:
    """Copy a plain file of at most ``most`` bytes; ``target`` is overwritten.

    Raises:
        OSError: as for :func:`sha256_file`, or ``target`` cannot be written.
    """
    with reading.binary(source, most) as stream, target.open("wb") as to:
        for piece in reading.pieces(source, stream):
            to.write(piece)


def canonical_json(value: Any) -> str:
    """The canonical text of a JSON value: keys sorted, no white space. Store keys are made from
    it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_json(value: Any) -> str:
    """The sha256 of a JSON value's canonical text, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def tree_hashes(folder: Path, skip: frozenset[str] = frozenset({".git"})) -> dict[str, str]:
    """The sha256 of every file below a folder, by its path there. For a link, its target counts.

    Raises:
        OSError: as for :func:`tree`, or a file cannot be read.
    """
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}" if is_link else sha256_file(path)
        for path, is_link in tree(folder, skip)
    }


def tree(folder: Path, skip: frozenset[str] = frozenset({".git"})) -> list[tuple[Path, bool]]:
    """The files below a folder, in order, and whether each is a link; links are not followed.

    Sockets are left out: editors and daemons leave some behind, and nobody can read them.

    Raises:
        Unfit: there is a FIFO or a device, which open(2) might wait for, or the folder is larger
        than any tree of sources.
        OSError: a folder cannot be read.
    """
    found: list[tuple[Path, bool]] = []
    size = 0
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if name not in skip)
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in sorted(name for name in [*names, *links] if name not in skip):
            path = Path(parent, name)
            state = path.lstat()
            if not stat.S_ISSOCK(state.st_mode):
                found.append((path, _is_link(path, state)))
                size += state.st_size
            if len(found) > MOST_FILES or size > LARGEST_TREE:
                much = "files" if len(found) > MOST_FILES else "bytes"
                raise reading.Unfit(folder, f"too many {much} in it; is it the right folder?")
    return found


def _is_link(path: Path, state: os.stat_result) -> bool:
    is_link = stat.S_ISLNK(state.st_mode)
    if not is_link and (what := reading.kind(state.st_mode)):
        raise reading.Unfit(path, f"{what}, not a file")
    return is_link


def _raise(error: OSError) -> NoReturn:
    raise error


def copy_tree(folder: Path, target: Path, skip: frozenset[str] = frozenset({".git"})) -> None:
    """Copy the files below a folder, with their modes; links stay links.

    Raises:
        OSError: as for :func:`tree`, or a file cannot be read or written.
    """
    tree(folder, skip)

    def left_out(parent: str, names: list[str]) -> list[str]:
        return [one for one in names if one in skip or Path(parent, one).is_socket()]

    shutil.copytree(folder, target, symlinks=True, ignore=left_out)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError of the block names the file; the one of a write(2) does not by itself."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def append(path: Path, data: str | bytes) -> None:
    """Append to a file."""
    with naming(path), path.open("ab") as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


def writable(path: Path) -> None:
    """Check that a file can be written, before open(2) could wait for it. A missing file is fine.

    Raises:
        Unfit: it is not a plain file. A file that the shell has opened can be anything:
        ``/dev/stdout``.
    """
    with contextlib.suppress(FileNotFoundError):
        what = reading.kind(path.stat().st_mode)
        if what and path.absolute().parts[1] not in ("dev", "proc"):
            raise reading.Unfit(path, f"{what}, not a file")


def is_full(path: Path) -> bool:
    """Whether the disk of this path is full (less than 1 MiB free)."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < 1 << 20


def write_atomic(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write a file so that readers see the old bytes or the new ones, never a part.

    Its mode is what the umask allows, as for any new file (mkstemp(3) would make it private). With
    ``durable``, this waits until the file is on the disk. Otherwise a power failure can lose it.
    """
    with naming(path):
        _write_atomic(path, data.encode() if isinstance(data, str) else data, durable=durable)


def write_private(path: Path, text: str) -> None:
    """The same for a file that only this user may read, with one writer at a time.

    It does not wait for the disk. A writer that is killed leaves at most one file beside it.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # it may be open to others, or a link
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    new.replace(path)


def _write_atomic(path: Path, raw: bytes, *, durable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def twin(lock: Path) -> Path:
    """The file beside a lock. A program that cannot inherit the lock's descriptor locks this one.

    A lock is free only if its twin is also free.
    """
    return lock.with_name(f"{lock.name}.twin")


def _umask() -> int:
    """This process's umask (proc_pid_status(5)). umask(2) would have to set it to read it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o077


def newest_first(paths: Iterable[Path]) -> list[Path]:
    """Those of ``paths`` that are there, the one changed last first.

    Another process may remove one meanwhile.
    """
    changed: dict[Path, float] = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            changed[path] = path.stat().st_mtime
    return sorted(changed, key=changed.__getitem__, reverse=True)


def remove_tree(path: Path) -> None:
    """Remove a folder, whatever the modes of its contents. A missing folder is fine."""
    if not path.exists():
        return
    with contextlib.suppress(PermissionError):
        _remove_all(path)
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
    _remove_all(path)


def _remove_all(path: Path) -> None:
    """Once more, if somebody has put a file into it meanwhile, such as the lock of a socket."""
    for _ in range(REMOVALS - 1):
        try:
            shutil.rmtree(path)
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
    shutil.rmtree(path)


def try_lock(path: Path, *, make: bool = True) -> int | None:
    """Take an exclusive lock on ``path``: a folder, or a file. Unless ``make``, it must be there.

    Returns ``None`` if somebody else holds it. The caller must close the descriptor. The lock lasts
    as long as any copy of the descriptor.
    """
    how = os.O_RDWR | os.O_CREAT if make and not path.is_dir() else os.O_RDONLY
    handle = os.open(path, how | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold an exclusive lock on ``path`` (made if missing); yields the descriptor.

    If somebody else holds it, this calls ``waiting`` and waits, without a limit: the holder's work
    has deadlines of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)
