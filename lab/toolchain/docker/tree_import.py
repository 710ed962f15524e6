"""Imports the rootfs door's tree as a Docker image: the same files, sent to the engine as one tar.

The tar depends on the tree alone: entries are sorted, belong to root and have the time 0. The tree
comes from the cache. If it is not there yet, it is made as for the rootfs door.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lab.packages.lock import Pin
from lab.progress import Amount, current
from lab.toolchain.docker import sweep
from lab.toolchain.docker.client import engine_errors, not_built
from lab.toolchain.rootfs import LINKS
from lab.toolchain.tree_cache import CachedTree

if TYPE_CHECKING:
    import docker

#: Increase it when the tar of a tree changes.
VERSION = 1
#: The file in an image that lists its packages, in the format of ``apt-get --print-uris``.
INSTALLED = "usr/share/xenlab/installed"

#: The folders of a tree that go into the image. Programs behind the rootfs door see the same ones.
_SHOWN = ("etc", "usr")
#: Empty folders with their modes: every container has something mounted there.
_EMPTY = {"dev": 0o755, "proc": 0o755, "run": 0o755, "sys": 0o755, "tmp": 0o1777,
          "var": 0o755, "var/tmp": 0o1777}  # fmt: skip
#: The tar is sent in pieces of at least this many bytes.
_PIECE = 1 << 20


def image(api: docker.APIClient, tree: CachedTree, name: str, labels: Mapping[str, str]) -> None:
    """Make an image of a tree. ``name`` is its repository and tag.

    Raises:
        ToolchainError: the engine cannot import it. Nothing is left at the engine.
    """
    repository, _, tag = name.partition(":")
    changes = [f"LABEL {label}={json.dumps(value)}" for label, value in labels.items()]
    sent, amount = [0], Amount(tree.size)

    def pieces() -> Iterator[bytes]:
        for piece in tar(tree):
            sent[0] += len(piece)
            yield piece

    with engine_errors(), current().looking(lambda: f"imported {amount.words(sent[0])}"):
        said = api.import_image_from_stream(
            pieces(), repository=repository, tag=tag, changes=changes
        )
    if '"error"' in said:
        raise not_built("import of the toolchain's tree", [said])


@contextlib.contextmanager
def temporary(api: docker.APIClient, tree: CachedTree) -> Iterator[str]:
    """Make an image of a tree that exists while the block runs, and yield its name."""
    name = f"{sweep.BASE_NAME}:{secrets.token_hex(4)}"
    image(api, tree, name, sweep.labels())
    try:
        yield name
    finally:
        with engine_errors():
            api.remove_image(name, force=True)


def tar(tree: CachedTree) -> Iterator[bytes]:
    """The image's files, in pieces."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for entry, data in _entries(archive, tree):
            with data or contextlib.nullcontext() as stream:
                archive.addfile(entry, stream)
            if buffer.tell() >= _PIECE:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
    yield buffer.getvalue()


def _entries(
    archive: tarfile.TarFile, tree: CachedTree
) -> Iterator[tuple[tarfile.TarInfo, io.BufferedIOBase | None]]:
    for name, mode in _EMPTY.items():
        yield _entry(name, tarfile.DIRTYPE, mode), None
    for name in LINKS:
        link = _entry(name, tarfile.SYMTYPE, 0o777)
        link.linkname = f"usr/{name}"
        yield link, None
    for top in _SHOWN:
        for path in (tree.path / top, *sorted((tree.path / top).rglob("*"))):
            entry = archive.gettarinfo(path, str(path.relative_to(tree.path)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            yield entry, path.open("rb") if entry.isreg() else None
    yield _entry(str(Path(INSTALLED).parent), tarfile.DIRTYPE, 0o755), None
    text = "".join(map(_line, tree.pins)).encode()
    listing = _entry(INSTALLED, tarfile.REGTYPE, 0o644)
    listing.size = len(text)
    yield listing, io.BytesIO(text)


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _line(pin: Pin) -> str:
    return f"'{pin.file}' {pin.file} {pin.size} SHA256:{pin.sha256}\n"
