"""Which packages are used under a lock: the locked ones, or where the archive has moved on, newer.

The locked ones are taken from the cache, else from the archive, else from apt's own snapshots.
Only an archive that says it has other versions lets a lab drift; one that does not answer, or
that has other bytes under a locked version, is an error. What was decided is remembered for
these very pins, so that it holds without network until the lock is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.errors import ImageError, LockError
from lab.model import Toolchain
from lab.packages import archive, lock
from lab.packages.apt import SOURCE
from lab.packages.archive import Resolution
from lab.packages.lock import Drift, Pin


@dataclass(frozen=True)
class Question:
    """Packages to have. ``arch`` may be ``source``: then one name, and perhaps a version.

    ``part`` names a second question of the same suite and architecture, in the lock too.
    """

    suite: str
    arch: str
    wanted: tuple[str, ...]
    keep: tuple[str, ...] = ("*",)
    version: str = ""
    part: str = ""

    @property
    def name(self) -> str:
        """What the lock calls it: ``suite/arch``, and the part if it has one."""
        return "/".join(filter(None, (self.suite, self.arch, self.part)))

    def newest(self, toolchain: Toolchain, cache: Path) -> Resolution:
        """What the archive answers now.

        Raises:
            ImageError: it cannot be reached, or has no such package.
        """
        if self.arch == SOURCE:
            return archive.resolve_source(
                toolchain, cache, suite=self.suite, name=self.wanted[0],
                version=self.version or None, refresh=True,
            )  # fmt: skip
        return archive.resolve(
            toolchain, cache, suite=self.suite, arch=self.arch, wanted=self.wanted,
            keep=self.keep, refresh=True,
        )  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What a lock allows. ``strict``: no drift; ``snapshot``: a moment that had the pins."""

    snapshot: str = ""
    strict: bool = False


@dataclass(frozen=True)
class Settled:
    """What is used, and how that is not what the lock says."""

    resolution: Resolution
    drift: tuple[Drift, ...] = ()


def settle(
    toolchain: Toolchain, cache: Path, question: Question, locked: Sequence[Pin], rules: Rules
) -> Settled:
    """Decide which packages answer ``question`` under a lock with the pins ``locked``.

    No pins: nothing is locked, the newest are taken. When this returns for the first time,
    the files are in the cache.

    Raises:
        ImageError: the archive is out of reach.
        LockError: a package's bytes are not the locked ones, or they drifted and may not; the
            packages are named.
    """
    known = remembered(cache, question, locked)
    if known and not (rules.strict and known.drift):
        return known
    check(cache, locked)
    if _wanted(question, locked) and archive.missing(cache, locked) == []:
        found = Resolution(question.suite, question.arch, tuple(locked))
    else:
        try:
            found = _ask(toolchain, cache, question, locked, rules)
        except ImageError as error:
            if known is None:
                raise
            raise LockError(lock.refused(known.drift), hint=lock.REFUSED_HINT) from error
    archive.remember(cache, _key(question, locked), found)
    return Settled(found, _drift(locked, found))


def remembered(cache: Path, question: Question, locked: Sequence[Pin]) -> Settled | None:
    """What was settled before for these pins, if anything."""
    found = archive.recall(cache, _key(question, locked))
    return Settled(found, _drift(locked, found)) if found else None


def check(cache: Path, locked: Sequence[Pin]) -> None:
    """What the cache has under the names of these files are these files.

    Raises:
        LockError: one is another; the package is named.
    """
    _check(locked, archive.others(cache, locked))


def fetch_again(
    toolchain: Toolchain,
    cache: Path,
    question: Question,
    locked: Sequence[Pin],
    rules: Rules,
    settled: Resolution,
) -> None:
    """Have the files of what was settled, though they went from the cache.

    Raises:
        ImageError: they are not to be had any more; the next command settles anew.
    """
    try:
        _fetch(toolchain, cache, settled, rules)
    except ImageError:
        archive.forget(cache, _key(question, locked))
        raise


def from_snapshot(toolchain: Toolchain, cache: Path, resolution: Resolution, snapshot: str) -> bool:
    """Have the files of a resolution from apt's snapshots; ``False`` if they are not there."""
    if not snapshot:
        return False
    try:
        archive.fetch(toolchain, cache, resolution, snapshot)
    except ImageError:
        return False
    return True


def _ask(
    toolchain: Toolchain, cache: Path, question: Question, locked: Sequence[Pin], rules: Rules
) -> Resolution:
    pinned = Resolution(question.suite, question.arch, tuple(locked))
    try:
        newest = question.newest(toolchain, cache)
    except ImageError:  # out of reach, or a package is not there at all any more
        if _wanted(question, locked) and from_snapshot(toolchain, cache, pinned, rules.snapshot):
            return pinned
        raise
    _check(locked, newest.pins)
    gone = _drift(locked, newest)
    if not gone:
        _fetch(toolchain, cache, newest, rules)
        return newest
    if _wanted(question, locked) and from_snapshot(toolchain, cache, pinned, rules.snapshot):
        return pinned
    if rules.strict and locked:
        raise LockError(lock.refused(gone), hint=lock.REFUSED_HINT)
    archive.fetch(toolchain, cache, newest)
    return newest


def _fetch(toolchain: Toolchain, cache: Path, newest: Resolution, rules: Rules) -> None:
    """What the archive lists it may still not have: old source packages, now and then."""
    try:
        archive.fetch(toolchain, cache, newest)
    except ImageError:
        if not from_snapshot(toolchain, cache, newest, rules.snapshot):
            raise


def _key(question: Question, locked: Sequence[Pin]) -> dict[str, Any]:
    asked = {name: value for name, value in asdict(question).items() if name != "part" or value}
    return {**asked, "locked": lock.digest_of(locked)}


def _wanted(question: Question, locked: Sequence[Pin]) -> bool:
    """Whether the pins answer the question at all: the lock may be older than the recipe."""
    names = {pin.name for pin in locked}
    kept = {name for name in question.wanted if archive.matches(name, question.keep)}
    return kept <= names and all(question.version in ("", pin.version) for pin in locked)


def _drift(locked: Sequence[Pin], found: Resolution) -> tuple[Drift, ...]:
    return tuple(lock.drift(locked, found.pins)) if locked else ()


def _check(locked: Sequence[Pin], found: Sequence[Pin]) -> None:
    if wrong := lock.contradiction(locked, found):
        words = lock.contradicted(wrong[0], wrong[1].sha256)
        raise LockError(words, hint=lock.CONTRADICTED_HINT)
