"""Finds the trees in the cache, and the one that belongs to a lock.

``<cache>/toolchain/<recipe>-<content>/`` contains ``tree/`` and ``manifest.json``, which is written
last. The tree of a lock has exactly the locked packages. If such a tree can no longer be made,
the file ``for-<pins>`` names the tree that is used instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.errors import LockError
from lab.model import ARCHITECTURES, ARM32, Architecture
from lab.packages import lock
from lab.packages.lock import Pin
from lab.toolchain import listing, recipe
from lab.util import files, reading


@dataclass(frozen=True)
class CachedTree:
    """A complete tree and its manifest.

    ``packages`` maps each name to its deb's version, architecture, SHA-256 and size (bytes).
    ``size`` is the tree's own size on the disk (bytes). ``partial``: it came out of a bundle, and
    has only what runs a lab.
    """

    path: Path
    key: str
    origin: str
    size: int
    packages: Mapping[str, Mapping[str, Any]]
    partial: bool = False

    @property
    def listed(self) -> bool:
        """Whether there is a list of the tree's files; see :mod:`lab.toolchain.listing`."""
        return (self.path.parent / listing.CONTENTS).exists()

    @cached_property
    def pins(self) -> tuple[Pin, ...]:
        """The packages, as a lock lists them."""
        return pins(self.packages)


def find(
    cache: Path, locked: Sequence[Pin] = (), arch: Architecture = ARM32, *, strict: bool = False
) -> CachedTree | None:
    """The tree of the present recipe for a lock, if it has been made; without a lock, any tree.

    ``strict``: the tree must have exactly the locked packages.

    Raises:
        LockError: a tree has a package in the locked version, but with other bytes. The message
            names the package.
    """
    trees = list(_trees(cache, arch))
    if exact := next((tree for tree in trees if not locked or _exact(tree, locked)), None):
        return exact
    for tree in trees:
        check(locked, tree.pins)
    return None if strict else _instead(cache, locked, arch)


def of_any(cache: Path) -> list[tuple[Architecture, CachedTree]]:
    """A tree of each architecture that has one, in the order of the architectures."""
    found = ((arch, find(cache, arch=arch)) for arch in ARCHITECTURES)
    return [(arch, tree) for arch, tree in found if tree]


def every(cache: Path) -> Iterator[CachedTree]:
    """Every complete tree of the cache, of whichever recipe."""
    for folder in sorted((cache / "toolchain").glob("*/")):
        if tree := read(folder):
            yield tree


def check(locked: Sequence[Pin], found: Sequence[Pin]) -> None:
    """Check that packages that are found in their locked version have the locked bytes.

    Raises:
        LockError: a package has other bytes. The message names it.
    """
    if wrong := lock.contradiction(locked, found):
        words = lock.contradicted(wrong[0], wrong[1].sha256)
        raise LockError(words, hint=lock.CONTRADICTED_HINT)


def keep(
    cache: Path, work: Path, made: CachedTree, locked: Sequence[Pin], arch: Architecture = ARM32
) -> CachedTree:
    """Move the complete tree ``made`` from its temporary folder ``work`` to its place, for a lock.

    If the same tree is already there, it may be in use, and it stays.
    """
    name = f"{recipe.recipe_key(arch)}-{made.key[:16]}"
    final = cache / "toolchain" / name
    if read(final) is None:
        files.remove_tree(final)
        work.rename(final)
    kept = read(final)
    assert kept is not None
    return take(cache, kept, locked, arch)


def take(
    cache: Path, tree: CachedTree, locked: Sequence[Pin], arch: Architecture = ARM32
) -> CachedTree:
    """Use a tree of the cache for a lock, even if it has other packages. Returns the tree."""
    if locked and not _exact(tree, locked):
        files.write_atomic(_note(cache, locked, arch), tree.path.parent.name)
    return tree


def with_pins(cache: Path, pins: Sequence[Pin], arch: Architecture = ARM32) -> CachedTree | None:
    """The tree of exactly these packages, if the cache has it."""
    return next((tree for tree in _trees(cache, arch) if _exact(tree, pins)), None)


def read(folder: Path) -> CachedTree | None:
    """The tree in a folder, if it is complete."""
    try:
        data = reading.json_file(folder / "manifest.json")
        return CachedTree(
            folder / "tree", data["key"], data["origin"], data["size"], data["packages"],
            data.get("partial") is True,
        )  # fmt: skip
    except (OSError, ValueError, KeyError):
        return None


def pins(packages: Mapping[str, Mapping[str, Any]]) -> tuple[Pin, ...]:
    """Packages as a lock lists them, sorted by name. File names are those that apt gives."""
    return tuple(
        Pin(name, one["version"], one["arch"], one["sha256"], one.get("size", 0), _file(name, one))
        for name, one in sorted(packages.items())
    )


def _file(name: str, one: Mapping[str, Any]) -> str:
    return f"{name}_{one['version'].replace(':', '%3a')}_{one['arch']}.deb"


def _exact(tree: CachedTree, locked: Sequence[Pin]) -> bool:
    return tree.key == lock.toolchain_key(locked) and not lock.drift(locked, tree.pins)


def _trees(cache: Path, arch: Architecture) -> Iterator[CachedTree]:
    for folder in sorted((cache / "toolchain").glob(f"{recipe.recipe_key(arch)}*")):
        if tree := read(folder):
            yield tree


def _instead(cache: Path, locked: Sequence[Pin], arch: Architecture) -> CachedTree | None:
    with contextlib.suppress(OSError):
        return read(cache / "toolchain" / reading.text(_note(cache, locked, arch)))
    return None


def _note(cache: Path, locked: Sequence[Pin], arch: Architecture) -> Path:
    name = files.sha256_json([recipe.recipe_key(arch), lock.digest_of(locked)])
    return cache / "toolchain" / f"for-{name[:32]}"
