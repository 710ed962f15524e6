"""Files that are whole or not there, and what they hash to."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from lab.util import reading

#: What a tree of sources has at most: that of Linux has 80,000 files and 2 GiB.
MOST_FILES, LARGEST_TREE = 200_000, 8 << 30


def sha256_file(path: Path) -> str:
    """The sha256 of a plain file's bytes, in hexadecimal.

    Raises:
        OSError: as :func:`lab.util.reading.binary`, or it grows while it is read.
    """
    found = hashlib.sha256()
    with reading.binary(path) as stream:
        for piece in reading.pieces(path, stream):
            found.update(piece)
    return found.hexdigest()


def copy_file(source: Path, target: Path, most: int = reading.IMAGE) -> None:
    """Copy the bytes of a plain file of at most ``most`` of them; ``target`` is written anew.

    Raises:
        OSError: as :func:`sha256_file`, or ``target`` cannot be written.
    """
    with reading.binary(source, most) as stream, target.open("wb") as to:
        for piece in reading.pieces(source, stream):
            to.write(piece)


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: keys sorted, no white space. Used for keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_json(value: Any) -> str:
    """The sha256 of a JSON value's canonical text, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def tree_hashes(folder: Path, skip: frozenset[str] = frozenset({".git"})) -> dict[str, str]:
    """Every file below a folder, by its path there, with its sha256; links by their target.

    Raises:
        OSError: as :func:`tree`, or something cannot be read.
    """
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}" if is_link else sha256_file(path)
        for path, is_link in tree(folder, skip)
    }


def tree(folder: Path, skip: frozenset[str] = frozenset({".git"})) -> list[tuple[Path, bool]]:
    """The files below a folder, in order, and whether each is a link; links are not followed.

    Sockets are left out: editors and daemons leave some, and nothing can read them.

    Raises:
        Unfit: there is a FIFO or a device, which whoever opens it may wait for, or there is
            more than a tree of sources has.
        OSError: a folder cannot be read.
    """
    found: list[tuple[Path, bool]] = []
    size = 0
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if name not in skip)
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in sorted([*names, *links]):
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
        OSError: as :func:`tree`, or something cannot be read or written.
    """
    tree(folder, skip)

    def left_out(parent: str, names: list[str]) -> list[str]:
        return [one for one in names if one in skip or Path(parent, one).is_socket()]

    shutil.copytree(folder, target, symlinks=True, ignore=left_out)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError of the block says which file it is about: that of a write(2) does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def append(path: Path, data: str | bytes) -> None:
    """Add to the end of a file."""
    with naming(path), path.open("ab") as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


def writable(path: Path) -> None:
    """Look whether a file may be written, if it is there at all, before open(2) waits for it.

    Raises:
        Unfit: it is no plain file. What the shell opens for us may be anything: ``/dev/stdout``.
    """
    with contextlib.suppress(FileNotFoundError):
        what = reading.kind(path.stat().st_mode)
        if what and path.absolute().parts[1] not in ("dev", "proc"):
            raise reading.Unfit(path, f"{what}, not a file")


def is_full(path: Path) -> bool:
    """Whether the disk that holds this has no room left (less than 1 MiB)."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < 1 << 20


def write_atomic(path: Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write a file so that readers see the old bytes or the new ones, never a part.

    Its mode is what the umask allows, as for any new file (mkstemp(3) would keep it private).
    One that is not ``durable`` is not waited for: it is lost if the host's power is.
    """
    with naming(path):
        _write_atomic(path, data.encode() if isinstance(data, str) else data, durable=durable)


def write_private(path: Path, text: str) -> None:
    """The same for a file that only this user may read and that has one writer at a time.

    It is not waited for, and a writer that is killed leaves at most one file beside it.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
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
    """The file beside a lock that is locked in its place by who cannot inherit the descriptor.

    Whoever claims the lock must find its twin free too.
    """
    return lock.with_name(f"{lock.name}.twin")


def _umask() -> int:
    """This process's umask (proc_pid_status(5)); umask(2) can only be read by setting it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o077


def remove_tree(path: Path) -> None:
    """Remove a folder whatever the modes inside it; nothing happens if it is not there."""
    if not path.exists():
        return
    with contextlib.suppress(PermissionError):
        shutil.rmtree(path)
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
    shutil.rmtree(path)


def try_lock(path: Path) -> int | None:
    """Take an exclusive lock on ``path`` (a folder, or a file that is made if missing).

    ``None`` if somebody holds it. The descriptor is the caller's to close; the lock lives as
    long as any copy of it.
    """
    how = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
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

    Waits for as long as the holder lives: the holder's work is bounded by its own deadlines.
    ``waiting`` is called first if there is a holder.
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
