"""Makes a bundle out of entries of a cache. The same entries give the same bytes."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lab.bundle import file, parts
from lab.bundle.contents import Contents, Member
from lab.progress import current
from lab.toolchain import listing
from lab.toolchain.tree_cache import CachedTree
from lab.util import files, reading, together

#: Where a saved toolchain says that it is from. The true place differs between machines.
ORIGIN = "a bundle"


@dataclass(frozen=True)
class Tree:
    """A toolchain, and the files of it that are saved. ``partial``: these are not all files."""

    made: CachedTree
    paths: frozenset[str]
    partial: bool


@dataclass(frozen=True)
class Wanted:
    """What a bundle is made of. ``folders`` and ``plain`` are paths in ``cache``.

    ``others``: members that belong to no cache, each by its name.
    """

    cache: Path
    trees: Sequence[Tree]
    folders: Sequence[Path]
    plain: Sequence[Path]
    others: Mapping[str, Path | bytes] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return not any(one.partial for one in self.trees)


@dataclass(frozen=True)
class _Part:
    """A folder that is saved as a part. ``ready``: files that are written in place of its own."""

    name: str
    folder: Path
    paths: Mapping[str, str]
    ready: Mapping[str, bytes] = field(default_factory=dict)


def save(path: Path, wanted: Wanted, lock: str, labs: Sequence[str], version: str) -> Contents:
    """Write a bundle, whole or not at all. Returns its list of contents.

    Raises:
        BundleError: an entry changes meanwhile. OSError: it cannot be read or written.
    """
    found = [_of_tree(one) for one in wanted.trees]
    found += [_of_folder(wanted.cache, folder) for folder in wanted.folders]
    found.sort(key=lambda one: one.name)
    plain: dict[str, Path | bytes] = {f"cache/{one.relative_to(wanted.cache)}": one
                                      for one in wanted.plain}  # fmt: skip
    sources = {**wanted.others, **plain}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bundle-") as work:
        packed = _pack(found, Path(work))
        # What is small, or is needed before the cache is filled, comes first.
        members = [_member(name, source) for name, source in sorted(sources.items(), reverse=True)]
        members += [_member(one.name, packed[one.name]) for one in found]
        listed = {one.name: one.paths for one in found}
        made = Contents(lock, tuple(labs), version, tuple(members), listed, wanted.whole)
        file.write(path, made, {**sources, **packed})
    return made


def _pack(found: Sequence[_Part], work: Path) -> dict[str, Path]:
    """Compress the parts into files of a folder, in several threads."""
    packed = {one.name: work / str(number) for number, one in enumerate(found)}
    done = [0]

    def one_of(part: _Part) -> None:
        with packed[part.name].open("wb") as to:
            parts.pack(part.folder, part.paths, to, part.ready)
        done[0] += 1

    with current().looking(lambda: f"packed {done[0]} of {len(found)}"):
        together.all_of([partial(one_of, one) for one in found], at_once=os.cpu_count() or 1)
    return packed


def _of_tree(tree: Tree) -> _Part:
    """A toolchain with a manifest and a list that are the same on every machine."""
    folder = tree.made.path.parent
    contents = listing.read(tree.made.path)
    listed = {path: parts.usual_mode(contents[path]) for path in sorted(tree.paths)}
    size = sum(int(text.split()[1]) for text in listed.values() if not text.startswith("-> "))
    manifest = {**reading.json_file(folder / "manifest.json"), "origin": ORIGIN, "size": size}
    manifest |= {"partial": True} if tree.partial else {}
    ready = {
        "manifest.json": json.dumps(manifest, sort_keys=True, indent=1).encode(),
        listing.CONTENTS: listing.dump(listed).encode(),
    }
    paths = {f"tree/{path}": text for path, text in listed.items()}
    paths |= {name: parts.made(data) for name, data in ready.items()}
    return _Part(f"cache/toolchain/{folder.name}.zst", folder, paths, ready)


def _of_folder(cache: Path, folder: Path) -> _Part:
    return _Part(f"cache/{folder.relative_to(cache)}.zst", folder, parts.listed(folder))


def _member(name: str, source: Path | bytes) -> Member:
    if isinstance(source, bytes):
        _, size, sha256 = parts.made(source).split()
        return Member(name, int(size), sha256)
    return Member(name, source.stat().st_size, files.sha256_file(source))
