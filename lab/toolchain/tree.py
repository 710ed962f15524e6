"""Makes the Debian tree of the rootfs door once, and stores it in the cache.

apt downloads the packages, from an index whose signature was checked. They are only unpacked: no
maintainer script runs. Nothing needs root or subordinate ids, so an ordinary user gets the same
tree as root. The few links that the scripts would have made are in the recipe.

The packages are those of the lock. :mod:`lab.toolchain.tree_cache` says where trees are stored. A
tree is made in a temporary folder, which is renamed when the tree is complete.
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
from lab.model import ARM32, Architecture
from lab.packages import lock
from lab.packages.lock import Pin
from lab.progress import current
from lab.toolchain import bootstrap, index, listing, recipe, tree_cache
from lab.toolchain.index import Index
from lab.toolchain.tree_cache import CachedTree
from lab.toolchain.unpack import unpack
from lab.util import debian, files, reading

Progress = Callable[[str], None]
#: Uses a tree to get the files of the locked packages from elsewhere; ``None``: not available.
Older = Callable[[CachedTree], Sequence[Path] | None]

#: Disk space for the tree while it is unpacked (1.7 GB, most of it removed later) and its packages.
NEEDED_BYTES = 3 << 30


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a tree. See :func:`make`."""

    arch: Architecture = ARM32
    strict: bool = False
    older: Older = lambda _: None


def make(
    cache: Path, progress: Progress, locked: Sequence[Pin] = (), wanted: Wanted | None = None
) -> CachedTree:
    """The tree of the present recipe for a lock. It is made unless the cache has it.

    Only one process at a time makes a tree. ``locked`` are the packages of the lock. The newest
    packages are used if there are none, or if neither the archive nor ``wanted.older``, which
    gets another tree to work with, has the locked ones.

    Raises:
        ToolchainError: the tree could not be made; nothing is left of the attempt.
        LockError: a package's bytes are not the locked ones, or packages have drifted although
            ``wanted.strict`` forbids it.
    """
    wanted = wanted or Wanted()
    parent = cache / "toolchain"
    told = "toolchain: waiting for another command that is making it"
    with files.locked(parent / ".lock", lambda: progress(told)) as handle:
        if tree := tree_cache.find(cache, locked, wanted.arch, strict=wanted.strict):
            return tree
        _sweep(parent)
        _check_room(parent)
        address = debian.archive_of_this_machine()
        return _Maker(cache, handle, progress, address, wanted.arch).make(locked, wanted)


#: apt's pattern for the packages that every Debian system has.
_NEWEST = ("?essential",)
#: The packages needed to ask apt's snapshots: an apt that knows where they are, and what it needs.
_ASKING = (
    "apt", "base-passwd", "ca-certificates", "coreutils", "dash", "debian-archive-keyring",
)  # fmt: skip


@dataclass(frozen=True)
class _Maker:
    """Makes trees in temporary folders. ``lock``: the descriptor of the claim."""

    cache: Path
    lock: int
    progress: Progress
    address: str | None
    arch: Architecture

    def make(self, locked: Sequence[Pin], wanted: Wanted) -> CachedTree:
        """Ask the archive first, decide on the packages, and fetch them once."""
        older = wanted.older
        with self._folder() as work:
            self.progress(f"toolchain: asking the archive for Debian {recipe.SUITE}")
            found = index.read(work / "index", self.address, self.lock)
            try:
                newest = found.answer([*_NEWEST, *recipe.package_list(self.arch)])
            except bootstrap.GoneError:  # the archive no longer has a package at all
                if tree := self._elsewhere(found, locked, older):
                    return tree
                raise
            tree_cache.check(locked, newest)
            gone = lock.drift(locked, newest) if locked else []
            if not gone:
                return self._newest(found, newest, locked, older)
            with contextlib.suppress(bootstrap.GoneError):  # it may have the locked ones too
                return self._fetched(found, found.answer(_exactly(locked)), locked)
            words = f"{len(gone)} of {len(locked)} locked packages only in other versions"
            self.progress(f"toolchain: the archive has {words}")
            if tree := self._elsewhere(found, locked, older):
                return tree
            if wanted.strict:
                raise LockError(lock.refused(gone), hint=lock.REFUSED_HINT)
            return self._newest(found, newest, (), older, instead_of=locked)

    def _newest(
        self, found: Index, newest: Sequence[Pin], locked: Sequence[Pin], older: Older,
        *, instead_of: Sequence[Pin] = (),
    ) -> CachedTree:  # fmt: skip
        """A tree of the newest packages, which are also the ``locked`` ones, if there are any.

        The archive may lack a file that its index lists. ``instead_of``: the packages of a lock
        that this tree stands in for.
        """
        try:
            return self._fetched(found, newest, locked or instead_of)
        except bootstrap.GoneError:
            if tree := self._elsewhere(found, locked, older):
                return tree
            raise

    def _fetched(self, found: Index, pins: Sequence[Pin], locked: Sequence[Pin]) -> CachedTree:
        """A tree of exactly these packages, from the cache or made from the archive's files."""
        if there := tree_cache.with_pins(self.cache, pins, self.arch):
            return tree_cache.take(self.cache, there, locked, self.arch)
        with self._folder() as work:
            self._bootstrap(work, found, pins)
            return self._keep(work, locked)

    def _elsewhere(self, found: Index, locked: Sequence[Pin], older: Older) -> CachedTree | None:
        """The tree of the locked packages, if they are available elsewhere."""
        if not locked:
            return None
        self.progress("toolchain: asking apt's snapshots for the locked packages")
        with self._folder() as work:
            asking = tree_cache.find(self.cache, arch=self.arch)
            if asking is None or asking.partial:
                asking = self._small(work, found)
            if debs := older(asking):
                return self._of(debs, asking, locked)
        return None

    def _small(self, work: Path, found: Index) -> CachedTree:
        """A small tree, just large enough to ask apt's snapshots. It is removed with its folder."""
        self._unpack(work, found, found.fetch(_ASKING), "the archive, to ask apt's snapshots")
        made = tree_cache.read(work)
        assert made is not None
        return made

    def _of(self, debs: Sequence[Path], newest: CachedTree, locked: Sequence[Pin]) -> CachedTree:
        """A tree of package files from elsewhere. The archive's address is that of ``newest``."""
        with self._folder() as work:
            unpack(debs, work / "tree", recipe.pruned(self.arch))
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
        return tree_cache.keep(self.cache, work, made, locked, self.arch)

    def _bootstrap(self, work: Path, found: Index, pins: Sequence[Pin]) -> None:
        size = sum(pin.size for pin in pins)
        what = f"toolchain: fetching and unpacking {len(pins)} packages, {size / 1e6:.0f} MB"
        self.progress(f"{what} (once, about half a minute)")
        debs = found.fetch(_exactly(pins), size)
        self._unpack(work, found, debs, self.address or "its default archive")

    def _unpack(self, work: Path, found: Index, debs: Sequence[Path], source: str) -> None:
        unpack(debs, work / "tree", recipe.pruned(self.arch))
        _copy(found.sources, work / "tree")
        self._complete(work, debs, source)

    def _complete(self, work: Path, debs: Sequence[Path], source: str) -> None:
        """Remove what the recipe leaves out, finish the tree, and write its manifest."""
        tree = work / "tree"
        packages = _packages(debs)
        _prune(tree, self.arch)
        _finish(tree)
        manifest = {
            "key": lock.toolchain_key(tree_cache.pins(packages)),
            "suite": recipe.SUITE,
            "origin": f"mmdebstrap {recipe.SUITE} from {source}",
            "size": _disk_usage(tree),
            "packages": packages,
        }
        with current().looking(lambda: "listing its files"):
            listing.make(tree)
        files.write_atomic(work / "manifest.json", json.dumps(manifest, indent=1))


def _exactly(pins: Sequence[Pin]) -> list[str]:
    """The names of exactly these versions, as apt takes them."""
    return [f"{pin.name}={pin.version}" for pin in pins]


def _copy(sources: Sequence[Path], tree: Path) -> None:
    """Copy apt's sources into the tree. They tell programs in it later where the archive is."""
    for path in sources:
        files.write_atomic(tree / "etc/apt" / path.name, reading.data(path))


def _packages(debs: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """The packages in these files. Names and versions come from the file names that apt gave."""
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


def _prune(tree: Path, arch: Architecture) -> None:
    for pattern in recipe.pruned(arch):
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                files.remove_tree(path)
            else:
                path.unlink()


def _finish(tree: Path) -> None:
    """Do what maintainer scripts would have done, as far as the programs here need it."""
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
    """Remove what interrupted makers left. The caller has the claim, so nobody else is at work."""
    for left in parent.glob(".new-*"):
        files.remove_tree(left)


def _check_room(parent: Path) -> None:
    free = os.statvfs(parent)
    if free.f_bavail * free.f_frsize < NEEDED_BYTES:
        raise ToolchainError(
            f"too little disk for the toolchain: {parent} has "
            f"{(free.f_bavail * free.f_frsize) >> 20} MB free, {NEEDED_BYTES >> 20} MB are needed",
            hint="free disk space, or set LAB_CACHE to a folder on another disk",
        )


def _disk_usage(tree: Path) -> int:
    seen = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            stat = (Path(folder) / name).lstat()
            seen[stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())
