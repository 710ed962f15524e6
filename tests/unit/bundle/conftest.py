"""A cache with a small toolchain and a stored image, and a bundle of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.bundle import saving
from lab.bundle.contents import Contents
from lab.bundle.saving import Tree, Wanted
from lab.store import Store
from lab.toolchain import listing, tree_cache
from lab.toolchain.tree_cache import CachedTree

TREE = f"{'a' * 64}-{'b' * 16}"
ANSWER = f"apt/resolutions/{'c' * 64}.json"


def toolchain(cache: Path) -> CachedTree:
    """A tree with a program, a header and a link."""
    folder = cache / "toolchain" / TREE
    (folder / "tree/usr/bin").mkdir(parents=True)
    (folder / "tree/usr/include").mkdir()
    (folder / "tree/usr/bin/qemu").write_bytes(b"qemu" * 50_000 + bytes(200_000))
    (folder / "tree/usr/bin/qemu").chmod(0o755)
    (folder / "tree/usr/include/a.h").write_text("int a;")
    (folder / "tree/bin").symlink_to("usr/bin")
    listing.make(folder / "tree")
    manifest = {"key": "k", "suite": "s", "origin": "an archive", "size": 1, "packages": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    made = tree_cache.read(folder)
    assert made
    return made


def fill(cache: Path) -> None:
    """A toolchain, an image, and an answer."""
    toolchain(cache)
    Store(cache).make("guest", {"a": 1}, lambda into: _write(into / "guest.bin"))
    (cache / ANSWER).parent.mkdir(parents=True)
    (cache / ANSWER).write_text("{}")


def _write(path: Path) -> None:
    path.write_bytes(b"guest" * 1000)


Save = Callable[..., Contents]


@pytest.fixture
def save() -> Save:
    """Saves the cache that :func:`fill` made in a folder, as a bundle."""

    def save_it(
        path: Path, cache: Path, *, whole: bool = False, more: tuple[Path, ...] = ()
    ) -> Contents:
        made = tree_cache.read(cache / "toolchain" / TREE)
        assert made
        paths = set(listing.read(made.path)) if whole else {"usr/bin/qemu", "bin"}
        (entry,) = Store(cache).entries()
        trees = [Tree(made, frozenset(paths), not whole)]
        wanted = Wanted(cache, trees, [entry.path.parent, *more], [cache / ANSWER])
        return saving.save(path, wanted, "d" * 64, ["hello"], "1.0")

    return save_it


@pytest.fixture
def bundle(tmp_path: Path, save: Save) -> Path:
    """A bundle without the header."""
    fill(tmp_path / "from")
    save(tmp_path / "a.bundle", tmp_path / "from")
    return tmp_path / "a.bundle"
