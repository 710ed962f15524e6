"""Files that are whole or not there, and what they hash to."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def sha256_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: keys sorted, no white space. Used for keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_json(value: Any) -> str:
    """The sha256 of a JSON value's canonical text, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def tree_hashes(folder: Path, skip: frozenset[str] = frozenset({".git"})) -> dict[str, str]:
    """Every file below a folder, by its path there, with its sha256; links by their target."""
    found: dict[str, str] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in skip)
        for name in sorted(names):
            path = Path(parent, name)
            where = str(path.relative_to(folder))
            if path.is_symlink():
                found[where] = f"-> {path.readlink()}"
            elif path.is_file():
                found[where] = sha256_file(path)
    return found


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError of the block says which file it is about: that of a write(2) does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def append(path: Path, text: str) -> None:
    """Add to the end of a file."""
    with naming(path), path.open("a") as stream:
        stream.write(text)


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
