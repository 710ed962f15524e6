"""The Debian tree of the rootfs door: made once, kept in the cache.

Packages are downloaded by apt, from an index whose signature was checked, and only unpacked. No
maintainer script runs and nothing needs root, so an ordinary user gets the same tree as root,
without subordinate ids. The few links that the scripts would have made are in the recipe.

The packages are the locked ones; see :mod:`lab.toolchain.tree_cache` for where trees are kept. A
tree is made in a temporary folder, which is renamed when it is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lab.errors import LockError, ToolchainError
from lab.packages import lock
from lab.packages.lock import Pin
from lab.toolchain import bootstrap, index, recipe, tree_cache
from lab.toolchain.index import Index
from lab.toolchain.tree_cache import CachedTree
from lab.toolchain.unpack import unpack
from lab.util import debian, files, reading

Progress = Callable[[str], None]
#: Files of the locked packages from elsewhere, got with some other tree; ``None``: there are none.
Older = Callable[[CachedTree], Sequence[Path] | None]

#: The tree while it is unpacked (1.7 GB, most of it thrown away again), and its packages.
NEEDED_BYTES = 3 << 30


def make(
    cache: Path,
    progress: Progress,
    locked: Sequence[Pin] = (),
    *,
    strict: bool = False,
    older: Older = lambda _: None,
) -> CachedTree:
    """The tree of the present recipe for a lock; made now if need be. One maker at a time.

    Without pins the newest packages are taken; with pins too, if the archive has no others and
    ``older`` (asked with some other tree) cannot get their files either.

    Raises:
        ToolchainError: it could not be made; nothing is left of the attempt.
        LockError: a package's bytes are not the locked ones, or the packages drifted though it
            is ``strict``.
    """
    parent = cache / "toolchain"
    told = "toolchain: another command is making it, waiting for that one"
    with files.locked(parent / ".lock", lambda: progress(told)) as handle:
        if tree := tree_cache.find(cache, locked, strict=strict):
            return tree
        _sweep(parent)
        _check_room(parent)
        address = debian.archive_of_this_machine()
        return _Maker(cache, handle, progress, address).make(locked, strict, older)


#: What apt calls the packages that every system has.
_NEWEST = ("?essential",)
#: What asking apt's snapshots takes: an apt that knows where they are, and what it needs.
_ASKING = (
    "apt", "base-passwd", "ca-certificates", "coreutils", "dash", "debian-archive-keyring",
)  # fmt: skip


@dataclass(frozen=True)
class _Maker:
    """Makes trees in temporary folders. ``lock``: the descriptor that keeps others out."""

    cache: Path
    lock: int
    progress: Progress
    address: str | None

    def make(self, locked: Sequence[Pin], strict: bool, older: Older) -> CachedTree:
        """The archive is asked first; what is then decided on is fetched once."""
        with self._folder() as work:
            self.progress(f"toolchain: asking the archive for Debian {recipe.SUITE}")
            found = index.read(work / "index", self.address, self.lock)
            try:
                newest = found.answer([*_NEWEST, *recipe.package_list()])
            except bootstrap.GoneError:  # a package is not there at all any more
                if tree := self._elsewhere(found, locked, older):
                    return tree
                raise
            tree_cache.check(locked, newest)
            gone = lock.drift(locked, newest) if locked else []
            if not gone:
                return self._newest(found, newest, locked, older)
            with contextlib.suppress(bootstrap.GoneError):  # it may have these as well
                return self._fetched(found, found.answer(_exactly(locked)), locked)
            words = f"{len(gone)} of {len(locked)} packages in other versions than the lock"
            self.progress(f"toolchain: the archive has {words}")
            if tree := self._elsewhere(found, locked, older):
                return tree
            if strict:
                raise LockError(lock.refused(gone), hint=lock.REFUSED_HINT)
            return self._newest(found, newest, (), older, instead_of=locked)

    def _newest(
        self, found: Index, newest: Sequence[Pin], locked: Sequence[Pin], older: Older,
        *, instead_of: Sequence[Pin] = (),
    ) -> CachedTree:  # fmt: skip
        """The newest; ``locked`` are the same packages. Files of them may be gone all the same."""
        try:
            return self._fetched(found, newest, locked or instead_of)
        except bootstrap.GoneError:
            if tree := self._elsewhere(found, locked, older):
                return tree
            raise

    def _fetched(self, found: Index, pins: Sequence[Pin], locked: Sequence[Pin]) -> CachedTree:
        """A tree of exactly these packages of the archive."""
        if there := tree_cache.with_pins(self.cache, pins):
            return tree_cache.take(self.cache, there, locked)
        with self._folder() as work:
            self._bootstrap(work, found, pins)
            return self._keep(work, locked)

    def _elsewhere(self, found: Index, locked: Sequence[Pin], older: Older) -> CachedTree | None:
        """The locked tree, if its packages are to be had elsewhere."""
        if not locked:
            return None
        self.progress("toolchain: asking apt's snapshots for the locked ones")
        with self._folder() as work:
            asking = tree_cache.find(self.cache) or self._small(work, found)
            if debs := older(asking):
                return self._of(debs, asking, locked)
        return None

    def _small(self, work: Path, found: Index) -> CachedTree:
        """A tree to ask with, of a few packages of the archive; it goes with its folder."""
        self._unpack(work, found, found.fetch(_ASKING), "the archive, to ask with")
        made = tree_cache.read(work)
        assert made is not None
        return made

    def _of(self, debs: Sequence[Path], newest: CachedTree, locked: Sequence[Pin]) -> CachedTree:
        """A tree of files that came from elsewhere, where ``newest`` could not be used."""
        with self._folder() as work:
            unpack(debs, work / "tree")
            sources = (newest.path / "etc/apt").glob("sources.list*")
            _copy([path for path in sources if path.is_file()], work / "tree")
            self._complete(work, debs, "apt's snapshots")
            return self._keep(work, locked)

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        work = Path(tempfile.mkdtemp(dir=self.cache / "toolchain", prefix=".new-"))
        try:
            work.chmod(0o755)
            yield work
        finally:
            files.remove_tree(work)

    def _keep(self, work: Path, locked: Sequence[Pin]) -> CachedTree:
        made = tree_cache.read(work)
        assert made is not None
        tree_cache.check(locked, made.pins)
        return tree_cache.keep(self.cache, work, made.key, locked)

    def _bootstrap(self, work: Path, found: Index, pins: Sequence[Pin]) -> None:
        size = sum(pin.size for pin in pins)
        what = f"toolchain: fetching and unpacking {len(pins)} packages, {size / 1e6:.0f} MB"
        self.progress(f"{what} (once, about half a minute)")
        debs = found.fetch(_exactly(pins), size)
        self._unpack(work, found, debs, self.address or "its default archive")

    def _unpack(self, work: Path, found: Index, debs: Sequence[Path], source: str) -> None:
        unpack(debs, work / "tree")
        _copy(found.sources, work / "tree")
        self._complete(work, debs, source)

    def _complete(self, work: Path, debs: Sequence[Path], source: str) -> None:
        """Leave out, finish, and write the manifest."""
        tree = work / "tree"
        packages = _packages(debs)
        _prune(tree)
        _finish(tree)
        manifest = {
            "key": lock.toolchain_key(tree_cache.pins(packages)),
            "suite": recipe.SUITE,
            "origin": f"mmdebstrap {recipe.SUITE} from {source}",
            "size": _disk_usage(tree),
            "packages": packages,
        }
        files.write_atomic(work / "manifest.json", json.dumps(manifest, indent=1))


def _exactly(pins: Sequence[Pin]) -> list[str]:
    """These packages, as apt takes them."""
    return [f"{pin.name}={pin.version}" for pin in pins]


def _copy(sources: Sequence[Path], tree: Path) -> None:
    """Where the archive is: what asks it later takes that from the tree."""
    for path in sources:
        files.write_atomic(tree / "etc/apt" / path.name, reading.data(path))


def _packages(debs: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The packages in these files, from the file names that apt gave them."""
    found = {}
    for deb in debs:
        name, version, arch = unquote(deb.stem).split("_")
        found[name] = {
            "version": version,
            "arch": arch,
            "sha256": files.sha256_file(deb),
            "size": deb.stat().st_size,
        }
    return found


def _prune(tree: Path) -> None:
    for pattern in recipe.PRUNED:
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                files.remove_tree(path)
            else:
                path.unlink()


def _finish(tree: Path) -> None:
    """What the maintainer scripts would have done, as far as anything here needs it."""
    for name, target in recipe.LINKS:
        link = tree / name
        if not link.exists() and (link.parent / target).exists():
            link.symlink_to(target)
    for name in ("passwd", "group"):
        master = tree / "usr/share/base-passwd" / f"{name}.master"
        files.write_atomic(tree / "etc" / name, reading.data(master))
    certificates = sorted((tree / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = b"".join(reading.data(path) for path in certificates)
    files.write_atomic(tree / "etc/ssl/certs/ca-certificates.crt", bundle)
    for name in ("etc/resolv.conf", "etc/hosts"):
        (tree / name).unlink(missing_ok=True)
        files.write_atomic(tree / name, "")
    for name in ("etc/passwd", "etc/group", "etc/resolv.conf", "etc/hosts"):
        (tree / name).chmod(0o644)


def _sweep(parent: Path) -> None:
    """Remove what interrupted makers left. The caller holds the lock: no other is at work."""
    for left in parent.glob(".new-*"):
        files.remove_tree(left)


def _check_room(parent: Path) -> None:
    free = os.statvfs(parent)
    if free.f_bavail * free.f_frsize < NEEDED_BYTES:
        raise ToolchainError(
            f"too little disk for the toolchain: {parent} has "
            f"{(free.f_bavail * free.f_frsize) >> 20} MB free, {NEEDED_BYTES >> 20} MB are needed",
            hint="free some, or set LAB_CACHE to a folder elsewhere",
        )


def _disk_usage(tree: Path) -> int:
    seen = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            stat = (Path(folder) / name).lstat()
            seen[stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())
