"""Fills a cache from a bundle.

First every byte of the bundle is compared with its list, so a damaged bundle changes nothing. Then
each part is unpacked beside its place and renamed when it is complete. So a load that is killed
leaves a cache that is whole, and the next load goes on where it ended.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.bundle import parts
from lab.bundle.contents import Contents, Member
from lab.bundle.file import Bundle
from lab.errors import BundleError
from lab.machine import template_folder
from lab.progress import Amount, Progress
from lab.toolchain import listing, tree_cache
from lab.util import files

#: Folders in which parts are unpacked. They are beside their places, so that they can be renamed.
NEW = ".bundle-new-"


@dataclass(frozen=True)
class Loaded:
    """What a load did: the places in the cache that it filled, and those that were filled."""

    new: tuple[str, ...]
    there: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def missing(contents: Contents, cache: Path, *, trusted: bool = False) -> list[Member]:
    """The members for a cache that it does not have yet.

    ``trusted``: with the templates. A template is the memory of a machine that somebody booted.
    """
    return [
        one for one in contents.members
        if one.name.startswith("cache/") and (trusted or not _is_template(one))
        and not _is_there(one, contents, cache)
    ]  # fmt: skip


def _is_template(member: Member) -> bool:
    return member.name.startswith("cache/templates/")


def load(bundle: Bundle, cache: Path, progress: Progress, *, trusted: bool = False) -> Loaded:
    """Put everything that a cache lacks into it. One process loads at a time; others wait.

    ``trusted``: the user knows who made the bundle. Otherwise its templates are left out.

    Raises:
        BundleError: the bundle is damaged (then nothing has changed), or there is too little disk.
        OSError: a file cannot be written.
    """
    waits = "bundle: waiting until another load of a bundle ends"
    with (
        progress.stage("bundle") as stage,
        files.locked(cache / "bundles.lock", lambda: progress.say(waits)),
    ):
        wanted = missing(bundle.contents, cache, trusted=trusted)
        _sweep(cache)
        if wanted:
            _check_room(bundle.contents, wanted, cache)
            stage.note("comparing its bytes with its list")
            bundle.verify()
        amount = Amount(sum(one.size for one in wanted))
        done = 0
        for one in wanted:
            stage.note(f"unpacked {amount.words(done)}")
            _place(bundle, one, cache)
            done += one.size
        stage.note(f"{len(wanted)} new")
    new = {one.name for one in wanted}
    all_of = [one for one in bundle.contents.members if one.name.startswith("cache/")]
    out = {one.name for one in all_of if _is_template(one) and not trusted}
    return Loaded(
        tuple(one.place for one in all_of if one.name in new),
        tuple(one.place for one in all_of if one.name not in new | out),
        tuple(one.place for one in all_of if one.name in out),
    )


def _is_there(member: Member, contents: Contents, cache: Path) -> bool:
    place = cache / member.place
    if not member.is_part:
        return place.exists()
    if not _complete(place):
        return False
    if not member.place.startswith("toolchain/"):
        return True
    there = tree_cache.read(place)
    return there is not None and not (there.partial and contents.whole)


def _complete(place: Path) -> bool:
    """Whether a part is there. Another command may just have made it."""
    return (place / "manifest.json").exists()


def _place(bundle: Bundle, member: Member, cache: Path) -> None:
    """Put one member into its place."""
    place = cache / member.place
    if _is_template(member):
        _place_template(bundle, member, place)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if not member.is_part:
        files.write_atomic(place, bundle.read(member), durable=False)
        return
    with _new(place) as work:
        parts.unpack(bundle.open(member), bundle.contents.parts[member.name], work)
        if member.place.startswith("toolchain/"):
            listing.remember(work / "tree")
            with files.locked(place.parent / ".lock"):
                _swap(work, place)
        elif not _complete(place):
            _swap(work, place)


def _place_template(bundle: Bundle, member: Member, place: Path) -> None:
    """The same for a template. Nobody takes it for a half-made one that a killed command left, and
    it comes under the lock of all templates."""
    root = place.parent
    work, handle = template_folder.begin(root)
    try:
        parts.unpack(bundle.open(member), bundle.contents.parts[member.name], work)
        with template_folder.locked(root):
            if not _complete(place):
                _swap(work, place)
    finally:
        files.remove_tree(work)
        os.close(handle)


@contextlib.contextmanager
def _new(place: Path) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(dir=place.parent, prefix=NEW))
    try:
        work.chmod(0o755)
        yield work
    finally:
        files.remove_tree(work)


def _swap(work: Path, place: Path) -> None:
    """Rename a complete folder to its place. What is there is not complete, or is only a part.

    Other commands may remove that meanwhile, or make the same.
    """
    gone = Path(tempfile.mkdtemp(dir=place.parent, prefix=NEW)) if place.exists() else None
    try:
        if gone:
            with contextlib.suppress(FileNotFoundError):
                place.rename(gone / "old")
        work.rename(place)
    except OSError:
        if not place.exists():  # otherwise another command has just made the same
            raise
    finally:
        if gone:
            files.remove_tree(gone)


def _sweep(cache: Path) -> None:
    """Remove what killed loads left. The caller has the claim, so nobody else loads."""
    for pattern in (f"*/{NEW}*", f"store/*/{NEW}*"):
        for left in cache.glob(pattern):
            files.remove_tree(left)


def _check_room(contents: Contents, wanted: list[Member], cache: Path) -> None:
    needed = sum(_room(contents, one) for one in wanted)
    disk = os.statvfs(cache)
    if (free := disk.f_bavail * disk.f_frsize) < needed:
        raise BundleError(
            f"too little disk for the bundle: {cache} has {free >> 20} MB free, "
            f"{(needed >> 20) + 1} MB are needed",
            hint="free disk space, or set LAB_CACHE to a folder on another disk",
        )


def _room(contents: Contents, member: Member) -> int:
    """The disk space that a member takes. The memory in a template is mostly holes."""
    if not member.is_part or member.place.startswith("templates/"):
        return 5 * member.size
    return contents.size_of(member.name)
