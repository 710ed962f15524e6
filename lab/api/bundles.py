"""Bundles: saved, shown, and loaded into the cache."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab import __version__
from lab.api import plans
from lab.api.bundle_wanted import BundleOptions, templates_of, wanted_of
from lab.api.context import Context, clean
from lab.errors import UsageError
from lab.model import Clock, Door
from lab.store import cache_root
from lab.util import files

if TYPE_CHECKING:
    from lab.bundle.contents import Contents

#: The labs of a bundle, if none is named.
USUAL = ("hello",)
SUFFIX = ".bundle"


@dataclass(frozen=True)
class BundleInfo:
    """A bundle. Sizes are in bytes.

    ``sha256``: of the file; ``lock``: the digest of labs.lock; ``version``: that of the xenlab that
    saved it; ``whole``: it has compilers too; ``members``: the name, size and sha256 of each.
    """

    file: Path
    size: int
    sha256: str
    lock: str
    labs: tuple[str, ...]
    version: str
    whole: bool
    unpacked: int
    members: tuple[dict[str, str | int], ...]


@dataclass(frozen=True)
class BundleLoaded:
    """What a load put into the cache (``new``), and what was there already: paths in the cache.

    ``left_out``: templates that were not loaded, because nobody said who made the bundle.
    ``signed``: the comment that was signed with the bundle.
    """

    file: Path
    new: tuple[str, ...]
    there: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    signed: str = ""


def save_bundle(
    context: Context, file: Path, labs: Sequence[str] = (), options: BundleOptions | None = None
) -> BundleInfo:
    """Write everything that labs need into one file. What is missing is made first.

    ``file``: if it is a folder, the name in it has the lock's digest. ``labs``: default is
    ``hello``.

    Raises:
        LabError: something cannot be made. LockError: packages are not the locked ones.
        UsageError: there is no such lab, or the file cannot be written there.
    """
    from lab.bundle import saving
    from lab.packages import lock

    clean(context)
    options = options or BundleOptions()
    names = tuple(labs) or USUAL
    at_hand = replace(context, locked=True, door=Door.ROOTFS)
    labs_of = [plans.make_plan(at_hand, name, clock) for name in names for clock in Clock]
    wanted = wanted_of(at_hand, labs_of, options)
    place = lock.place(context.file)
    others = {"lab/labs.yaml": context.file, "lab/labs.lock": place}
    if options.templates:
        stored = templates_of(at_hand, names)
        wanted = replace(wanted, folders=[*wanted.folders, *stored])
    digest = lock.load(place).digest
    path = _path(file, digest)
    with tempfile.TemporaryDirectory() as work:
        others |= _wheels(context, options, Path(work))
        with context.progress.stage("bundle") as stage:
            contents = saving.save(path, replace(wanted, others=others), digest, names, __version__)
            stage.note(f"{path.stat().st_size / 1e6:.0f} MB")
    return _info(path, contents)


def _wheels(context: Context, options: BundleOptions, into: Path) -> dict[str, Path]:
    from lab.install import wheels

    if not options.wheels:
        return {}
    groups = ["serve"] if options.page else []
    with context.progress.stage("wheels") as stage:
        found = wheels.fetch(options.wheels, into, stage, groups)
        stage.note(f"{len(found)}")
    return {f"python/{one.name}": one for one in found}


def show_bundle(file: Path) -> BundleInfo:
    """What a bundle has. Its list is read and checked, and nothing is unpacked.

    Raises:
        BundleError: it is not a bundle, or is cut off.
    """
    from lab.bundle.file import opened

    with opened(file) as bundle:
        return _info(file, bundle.contents)


def load_bundle(context: Context, file: Path, *, sha256: str = "", key: str = "") -> BundleLoaded:
    """Put everything of a bundle that the cache lacks into it, after every byte was verified.

    ``sha256``: the digest that the file must have. ``key``: the public key of minisign (its text or
    its file) with which it must be signed. Without either, its templates are left out.

    Raises:
        BundleError: it is not a bundle, is damaged, or there is too little disk; then nothing has
            changed.
    """
    from lab.bundle import loading
    from lab.bundle.file import opened

    signed = _signed(file, key) if key else ""
    with opened(file, sha256) as bundle:
        trusted = bool(sha256 or key)
        found = loading.load(bundle, cache_root(), context.progress, trusted=trusted)
    return BundleLoaded(file, found.new, found.there, found.left_out, signed)


def _signed(file: Path, key: str) -> str:
    from lab.bundle import signature

    return signature.check(file, key)


@dataclass(frozen=True)
class BundleStored:
    """A bundle in a registry. ``reference`` names exactly these bytes; ``size`` is in bytes."""

    file: Path
    reference: str
    sha256: str
    size: int


def push_bundle(context: Context, file: Path, reference: str) -> BundleStored:
    """Store a bundle in a registry. It needs the packages of ``xenlab[registry]``.

    Raises:
        BundleError: it is not a bundle, or the registry does not take it.
    """
    from lab.bundle import registry

    with context.progress.stage("registry") as stage:
        stage.note(f"sending {file.name}")
        found = registry.push(file, reference)
    return BundleStored(file, found.reference, found.sha256, found.size)


def pull_bundle(context: Context, reference: str, file: Path) -> BundleStored:
    """Write a registry's bundle into a file. It needs the packages of ``xenlab[registry]``.

    Raises:
        BundleError: the reference has no bundle, it is damaged, or the registry does not answer.
        UsageError: the file cannot be written there.
    """
    from lab.bundle import registry

    path = _path(file, hashlib.sha256(reference.encode()).hexdigest())
    with context.progress.stage("registry") as stage:
        stage.note(f"fetching {reference}")
        found = registry.pull(reference, path)
        show_bundle(path)
    return BundleStored(path, found.reference, found.sha256, found.size)


def _path(file: Path, digest: str) -> Path:
    path = file / f"xenlab-{digest[:16]}{SUFFIX}" if file.is_dir() else file
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", hint="make it, or name another")
    files.writable(path)
    return path.absolute()


def _info(path: Path, contents: Contents) -> BundleInfo:
    return BundleInfo(
        path, path.stat().st_size, files.sha256_file(path), contents.lock, contents.labs,
        contents.version, contents.whole, contents.unpacked,
        tuple(vars(one) for one in contents.members),
    )  # fmt: skip
