"""The content-addressed store: what was built once is not built again.

An entry's key is the sha256 of its kind and all its inputs. An entry is a folder
``store/<kind>/<key>/`` with the built files under ``files/`` and ``manifest.json``, which is
written last. A build works in a temporary folder beside it, which is renamed once it is complete.
So an entry is either complete or absent. Files are hashed when they are read.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.errors import ImageError
from lab.model import Image
from lab.util import files, reading, used
from lab.util.cache_folder import cache_root

__all__ = ["Entry", "Store", "cache_root", "describe", "entry_key"]

#: Increased when the layout of entries changes, so that old entries are not read.
FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """A stored build: the folder ``path`` with its files, and the inputs that it was made from.

    ``outputs``: name of a file → sha256. ``verified``: the files were checked against them.
    """

    kind: str
    key: str
    path: Path
    inputs: Mapping[str, Any]
    outputs: Mapping[str, str]
    verified: bool = False

    @property
    def size(self) -> int:
        """The bytes of its files that are there: others may be removing it."""
        found = 0
        for name in self.outputs:
            with contextlib.suppress(FileNotFoundError):
                found += (self.path / name).stat().st_size
        return found

    def image(self, name: str) -> Image:
        """One file of the entry as an :class:`Image`, its hash checked.

        Raises:
            ImageError: the file is missing, or its bytes have changed since the build.
        """
        path = self.path / name
        wanted = self.outputs[name]
        if not self.verified and not _has_sha256(path, wanted):
            raise ImageError(
                f"stored image {self.kind}/{name} is damaged: {path}",
                hint=f"remove {path.parent.parent} and run the command again: it is rebuilt",
            )
        return Image(self.kind, path, wanted, path.stat().st_size, self.key, self.inputs)


class Store:
    """Entries under one root folder. Several processes may use it at once.

    ``before_build`` is called with the kind of an entry before it is built. It fetches what only
    a build needs (packages). So if everything is stored, nothing is fetched. ``refill`` is called
    before that. It may bring the entry itself.
    """

    def __init__(
        self,
        root: Path | None = None,
        before_build: Callable[[str], None] = lambda _: None,
        refill: Callable[[], None] = lambda: None,
    ) -> None:
        self.root = (root or cache_root()) / "store"
        self._refill = refill
        self._before_build = before_build

    def get(self, kind: str, inputs: Mapping[str, Any]) -> Entry | None:
        """The entry with these inputs, or ``None``. If its manifest is damaged, it is removed."""
        key = entry_key(kind, inputs)
        folder = self.root / kind / key
        try:
            manifest = reading.json_file(folder / "manifest.json")
            entry = Entry(kind, key, folder / "files", manifest["inputs"], manifest["outputs"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, OSError):
            self.discard(kind, key)
            return None
        used.note(folder)
        return entry

    def make(self, kind: str, inputs: Mapping[str, Any], build: Callable[[Path], None]) -> Entry:
        """The entry with these inputs. If there is none, ``build`` fills an empty folder.

        Every file that ``build`` leaves in the folder is an output. A stored entry whose
        bytes have changed is removed and built again.
        """
        key = entry_key(kind, inputs)
        with self._held(kind, key):
            entry = self.get(kind, inputs)
            if entry is None or not intact(entry):
                self.discard(kind, key)
                self._refill()
                entry = self.get(kind, inputs)
            if entry is None:
                self._before_build(kind)
                self._build(kind, key, inputs, build)
                entry = self.get(kind, inputs)
        assert entry is not None
        return replace(entry, verified=True)

    def discard(self, kind: str, key: str) -> None:
        """Remove an entry."""
        folder = self.root / kind / key
        gone = folder.with_name(f".gone-{secrets.token_hex(6)}")
        with contextlib.suppress(FileNotFoundError):  # others may have removed it just now
            folder.rename(gone)
            _remove(gone)

    def entries(self) -> Iterator[Entry]:
        """Every entry, sorted by kind and key."""
        for manifest in sorted(self.root.glob("*/[0-9a-f]*/manifest.json")):
            with contextlib.suppress(ValueError, KeyError, OSError):
                data = reading.json_file(manifest)
                folder = manifest.parent
                yield Entry(
                    folder.parent.name, folder.name, folder / "files",
                    data["inputs"], data["outputs"],
                )  # fmt: skip

    def _build(
        self, kind: str, key: str, inputs: Mapping[str, Any], build: Callable[[Path], None]
    ) -> None:
        parent = self.root / kind
        parent.mkdir(parents=True, exist_ok=True)
        self._sweep(kind, key)
        work = Path(tempfile.mkdtemp(dir=parent, prefix=f".new-{key[:16]}-"))
        try:
            (work / "files").mkdir()
            build(work / "files")
            manifest = {"inputs": dict(inputs), "outputs": _hashes(work / "files")}
            files.write_atomic(work / "manifest.json", json.dumps(manifest, indent=1))
            work.chmod(0o755)
            _put(work, parent / key)
        except BaseException:
            files.remove_tree(work)
            raise

    def _sweep(self, kind: str, ours: str) -> None:
        """Remove the temporary folders that killed builds left: no process claims their entries."""
        for gone in (self.root / kind).glob(".gone-*"):
            _remove(gone)
        for left in (self.root / kind).glob(".new-*"):
            key = left.name.split("-")[1]
            handle = None if key == ours[:16] else files.try_lock(self._claim(kind, key))
            if handle is not None or key == ours[:16]:
                files.remove_tree(left)
            if handle is not None:
                os.close(handle)

    def _held(self, kind: str, key: str) -> contextlib.AbstractContextManager[int]:
        return files.locked(self._claim(kind, key))

    def _claim(self, kind: str, key: str) -> Path:
        return self.root / "locks" / f"{kind}-{key[:16]}"


def entry_key(kind: str, inputs: Mapping[str, Any]) -> str:
    """The key of an entry: the sha256 of the store's format, the kind and the inputs."""
    return files.sha256_json({"format": FORMAT, "kind": kind, "inputs": dict(inputs)})


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): files.sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _put(work: Path, place: Path) -> None:
    """Rename a complete entry to its place, unless a bundle has brought the same meanwhile."""
    try:
        work.rename(place)
    except OSError:
        if not (place / "manifest.json").exists():
            raise
        files.remove_tree(work)


def _has_sha256(path: Path, wanted: str) -> bool:
    return path.is_file() and files.sha256_file(path) == wanted


def _remove(gone: Path) -> None:
    """Remove a discarded folder. Another process may be removing it at the same time."""
    with contextlib.suppress(FileNotFoundError):
        files.remove_tree(gone)


def intact(entry: Entry) -> bool:
    """Whether an entry has exactly the files of its manifest, with their bytes. It reads them."""
    try:
        return _hashes(entry.path) == dict(entry.outputs)
    except OSError:
        return False


def describe(entry: Entry) -> dict[str, Any]:
    """An entry for people and programs. ``size`` is in bytes; ``made_of`` is a few words."""
    words = (
        entry.inputs.get("release")
        or entry.inputs.get("version")
        or entry.inputs.get("app", {}).get("name")
        or ""
    )
    return {
        "kind": entry.kind,
        "key": entry.key,
        "size": entry.size,
        "made_of": str(words),
        "path": str(entry.path),
        "inputs": dict(entry.inputs),
        "outputs": dict(entry.outputs),
    }
