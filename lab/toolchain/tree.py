"""The Debian tree of the rootfs door: made once by mmdebstrap, kept in the cache.

mmdebstrap only downloads, checks signatures and unpacks (``--variant=extract``): no maintainer
script runs and nothing needs root, so an ordinary user gets the same tree as root, without
subordinate ids. The few links that the scripts would have made are in the recipe.

The packages are the locked ones; see :mod:`lab.toolchain.shelf` for where trees are kept. A tree
is made in a temporary folder, which is renamed when it is whole.
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

from lab import lock
from lab.errors import ToolchainError
from lab.lock import Pin
from lab.toolchain import bootstrap, recipe, shelf
from lab.toolchain.shelf import Tree
from lab.util import debian, files

Progress = Callable[[str], None]
#: Files of the locked packages from elsewhere, got with a newer tree; ``None``: not to be had.
Older = Callable[[Tree], Sequence[Path] | None]

#: The tree while it is unpacked (1.7 GB, most of it thrown away again), and its packages.
NEEDED_BYTES = 3 << 30


def make(
    cache: Path,
    progress: Progress,
    locked: Sequence[Pin] = (),
    *,
    strict: bool = False,
    older: Older = lambda _: None,
) -> Tree:
    """The tree of the present recipe for a lock; made now if need be. One maker at a time.

    Without pins the newest packages are taken; with pins too, if the archive has no others and
    ``older`` (asked with the newest tree) cannot get their files either.

    Raises:
        ToolchainError: it could not be made, a package's bytes are not the locked ones, or the
            packages drifted though it is ``strict``; nothing is left of the attempt.
    """
    parent = cache / "toolchain"
    told = "toolchain: another command is making it, waiting for that one"
    with files.locked(parent / ".lock", lambda: progress(told)) as handle:
        if tree := shelf.find(cache, locked, strict=strict):
            return tree
        _sweep(parent)
        _check_room(parent)
        return _Maker(cache, handle, progress).make(locked, strict, older)


#: What apt calls the packages that every system has.
_NEWEST = ("?essential",)


@dataclass(frozen=True)
class _Maker:
    """Makes trees in temporary folders. ``lock``: the descriptor that keeps others out."""

    cache: Path
    lock: int
    progress: Progress

    def make(self, locked: Sequence[Pin], strict: bool, older: Older) -> Tree:
        if locked:
            with contextlib.suppress(bootstrap.GoneError), self._folder() as work:
                names = [f"{pin.name}={pin.version}" for pin in locked]
                self._bootstrap(work, names, sum(pin.size for pin in locked))
                return self._keep(work, locked)
            self.progress("toolchain: the archive has other versions than the lock")
            if strict and (drifted := shelf.find(self.cache, locked)):
                return self._instead_of(drifted, locked, strict, older) or drifted
        with self._folder() as work:
            names = [*_NEWEST, *recipe.package_list()]
            self._bootstrap(work, names, sum(pin.size for pin in locked))
            newest = shelf.read(work)
            assert newest is not None
            shelf.check(locked, newest.pins)
            found = self._instead_of(newest, locked, strict, older)
            return found or self._keep(work, locked)

    def _instead_of(
        self, newest: Tree, locked: Sequence[Pin], strict: bool, older: Older
    ) -> Tree | None:
        """The locked tree, if its packages are to be had elsewhere."""
        gone = lock.drift(locked, newest.pins) if locked else []
        if gone and (debs := older(newest)):
            return self._of(debs, newest, locked)
        if gone and strict:
            raise ToolchainError(lock.refused(gone), hint=lock.REFUSED_HINT)
        return None

    def _of(self, debs: Sequence[Path], newest: Tree, locked: Sequence[Pin]) -> Tree:
        """A tree of files that came from elsewhere, where ``newest`` could not be used."""
        with self._folder() as work:
            tree = work / "tree"
            for deb in debs:
                _unpack(deb, tree)
            for path in (newest.path / "etc/apt").glob("sources.list*"):
                if path.is_file():
                    files.write_atomic(tree / "etc/apt" / path.name, path.read_bytes())
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

    def _keep(self, work: Path, locked: Sequence[Pin]) -> Tree:
        made = shelf.read(work)
        assert made is not None
        shelf.check(locked, made.pins)
        return shelf.keep(self.cache, work, made.key, locked)

    def _bootstrap(self, work: Path, names: Sequence[str], size: int) -> None:
        tree = work / "tree"
        address = debian.archive_of_this_machine()
        which = "the locked" if names[0] != _NEWEST[0] else "the newest"
        what = f"toolchain: unpacking {which} packages of Debian {recipe.SUITE}"
        self.progress(f"{what} (once, about half a minute)")
        bootstrap.run(tree, address, self.lock, names, size)
        debs = sorted((tree / "var/cache/apt/archives").glob("*.deb"))
        self._complete(work, debs, address or "its default archive")

    def _complete(self, work: Path, debs: Sequence[Path], source: str) -> None:
        """Leave out, finish, and write the manifest."""
        tree = work / "tree"
        packages = _packages(debs)
        self.progress(f"toolchain: {len(packages)} packages, leaving out what nobody needs")
        _prune(tree)
        _finish(tree)
        manifest = {
            "key": lock.toolchain_key(shelf.pins(packages)),
            "suite": recipe.SUITE,
            "origin": f"mmdebstrap {recipe.SUITE} from {source}",
            "size": _disk_usage(tree),
            "packages": packages,
        }
        files.write_atomic(work / "manifest.json", json.dumps(manifest, indent=1))


def _unpack(deb: Path, tree: Path) -> None:
    """As mmdebstrap does: links to folders stay links, files belong to whoever calls."""
    tree.mkdir(parents=True, exist_ok=True)
    files_of_it = tree.with_name("data.tar")
    with files_of_it.open("wb") as stream:
        bootstrap.must(["dpkg-deb", "--fsys-tarfile", str(deb)], stream)
    bootstrap.must(["tar", "--extract", f"--file={files_of_it}", f"--directory={tree}",
           "--keep-directory-symlink", "--no-same-owner", "--same-permissions"])  # fmt: skip
    files_of_it.unlink()


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
        files.write_atomic(tree / "etc" / name, master.read_bytes())
    certificates = sorted((tree / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = b"".join(path.read_bytes() for path in certificates)
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
