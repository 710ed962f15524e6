"""The content-addressed store: what was built once is not built again.

An entry's key is the sha256 of its kind and all its inputs. An entry is a folder
``store/<kind>/<key>/`` with the built files under ``files/`` and ``manifest.json``, which is
written last. A build works in a temporary folder beside it, which is renamed when it is whole.
So an entry is complete or not there at all. Files are hashed when they are read.
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
from lab.util import files, reading
from lab.util.cache_folder import cache_root

__all__ = ["Entry", "Store", "cache_root", "describe", "entry_key"]

#: Raised when the layout of entries changes, so that old ones are not read.
FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """A stored build: its folder of files, and what it was made from."""

    kind: str
    key: str
    path: Path
    inputs: Mapping[str, Any]
    outputs: Mapping[str, str]
    verified: bool = False

    def image(self, name: str) -> Image:
        """One file of the entry as an :class:`Image`, verified.

        Raises:
            ImageError: the file is missing or its bytes are not the ones that were built.
        """
        path = self.path / name
        wanted = self.outputs[name]
        if not self.verified and not _is(path, wanted):
            raise ImageError(
                f"stored image {self.kind}/{name} is damaged: {path}",
                hint=f"remove {path.parent.parent} and run the command again: it is rebuilt",
            )
        return Image(self.kind, path, wanted, path.stat().st_size, self.key, self.inputs)


class Store:
    """Entries under one root folder. Several processes may use it at once.

    ``before_build`` is called before anything is built. It fetches what only a build needs
    (packages). So when everything is stored, nothing is fetched.
    """

    def __init__(
        self, root: Path | None = None, before_build: Callable[[str], None] = lambda _: None
    ) -> None:
        self.root = (root or cache_root()) / "store"
        self._before_build = before_build

    def get(self, kind: str, inputs: Mapping[str, Any]) -> Entry | None:
        """The entry with these inputs, or ``None``. A damaged entry is set aside."""
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
        return entry

    def make(self, kind: str, inputs: Mapping[str, Any], build: Callable[[Path], None]) -> Entry:
        """The entry with these inputs. If there is none, ``build`` fills an empty folder.

        Every file that ``build`` leaves in the folder is an output. A stored entry whose
        bytes have changed is removed and built again.
        """
        key = entry_key(kind, inputs)
        with self._held(kind, key):
            entry = self.get(kind, inputs)
            if entry is None or not _whole(entry):
                self.discard(kind, key)
                self._before_build(kind)
                self._build(kind, key, inputs, build)
                entry = self.get(kind, inputs)
        assert entry is not None
        return replace(entry, verified=True)

    def discard(self, kind: str, key: str) -> None:
        """Remove an entry."""
        folder = self.root / kind / key
        if folder.exists():
            gone = folder.with_name(f".gone-{secrets.token_hex(6)}")
            folder.rename(gone)
            _remove(gone)

    def entries(self) -> Iterator[Entry]:
        """Every entry, by kind and key."""
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
            work.rename(parent / key)
        except BaseException:
            files.remove_tree(work)
            raise

    def _sweep(self, kind: str, ours: str) -> None:
        """Remove what killed builds left: folders of entries whose lock nobody holds."""
        for gone in (self.root / kind).glob(".gone-*"):
            _remove(gone)
        for left in (self.root / kind).glob(".new-*"):
            key = left.name.split("-")[1]
            handle = None if key == ours[:16] else files.try_lock(self._lock(kind, key))
            if handle is not None or key == ours[:16]:
                files.remove_tree(left)
            if handle is not None:
                os.close(handle)

    def _held(self, kind: str, key: str) -> contextlib.AbstractContextManager[int]:
        return files.locked(self._lock(kind, key))

    def _lock(self, kind: str, key: str) -> Path:
        return self.root / "locks" / f"{kind}-{key[:16]}"


def entry_key(kind: str, inputs: Mapping[str, Any]) -> str:
    """The key of an entry: sha256 over the format, its kind and its inputs."""
    return files.sha256_json({"format": FORMAT, "kind": kind, "inputs": dict(inputs)})


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): files.sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _is(path: Path, wanted: str) -> bool:
    return path.is_file() and files.sha256_file(path) == wanted


def _remove(gone: Path) -> None:
    """Remove a folder that nobody uses. Other processes may remove it at the same time."""
    with contextlib.suppress(FileNotFoundError):
        files.remove_tree(gone)


def _whole(entry: Entry) -> bool:
    try:
        return _hashes(entry.path) == dict(entry.outputs)
    except OSError:
        return False


def describe(entry: Entry) -> dict[str, Any]:
    """An entry for people and programs: size in bytes, and in a few words what it is made from."""
    size = sum((entry.path / name).stat().st_size for name in entry.outputs)
    words = entry.inputs.get("version") or entry.inputs.get("app", {}).get("name") or ""
    return {
        "kind": entry.kind,
        "key": entry.key,
        "size": size,
        "made_of": str(words),
        "path": str(entry.path),
        "inputs": dict(entry.inputs),
        "outputs": dict(entry.outputs),
    }
