"""Decides which packages are used under a lock: the locked ones, or newer ones after an update.

The locked packages come from the cache, else from the archive, else from the archive's snapshots.
A lab drifts only if the archive answers that it has other versions. It is an error if the archive
does not answer, or has other bytes under a locked version. The decision is remembered for exactly
these pins. So it stays valid without network until the lock changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.errors import ImageError, LockError
from lab.model import Toolchain
from lab.packages import answers, archive, lock
from lab.packages.answers import Resolution
from lab.packages.archive import Question
from lab.packages.lock import Drift, Pin


@dataclass(frozen=True)
class Rules:
    """What a lock allows. ``strict``: no drift; ``snapshot``: when an archive had the pins."""

    snapshot: str = ""
    strict: bool = False


@dataclass(frozen=True)
class Settled:
    """The packages that are used, and their drift from the lock."""

    resolution: Resolution
    drift: tuple[Drift, ...] = ()


def settle(
    toolchain: Toolchain, cache: Path, question: Question, locked: Sequence[Pin], rules: Rules
) -> Settled:
    """Decide which packages answer ``question`` under a lock with the pins ``locked``.

    Without pins nothing is locked, and the newest packages are used. When a question is settled
    for the first time, the files are in the cache afterwards.

    Raises:
        ImageError: the archive is out of reach.
        LockError: a package's bytes are not the locked ones, or packages drifted and drift is not
            allowed. The message names the packages.
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
    answers.remember(cache, _key(question, locked), found)
    return Settled(found, _drift(locked, found))


def fetch_ahead(
    toolchain: Toolchain, cache: Path, question: Question, locked: Sequence[Pin]
) -> bool:
    """Fetch the locked files, if the archive's newest packages are still exactly the locked ones.

    Returns whether they were. Then the question is settled, without drift. ``toolchain`` needs only
    apt, because the lab's own toolchain may not be there yet.

    Raises:
        ImageError: the archive is out of reach, or serves other files.
        LockError: as :func:`settle`.
    """
    check(cache, locked)
    newest = question.newest(toolchain, cache)
    if not locked or _drift(locked, newest) or lock.contradiction(locked, newest.pins):
        return False
    archive.fetch(toolchain, cache, newest)
    answers.remember(cache, _key(question, locked), newest)
    return True


def remembered(cache: Path, question: Question, locked: Sequence[Pin]) -> Settled | None:
    """What was settled before for these pins, or ``None``."""
    found = answers.recall(cache, _key(question, locked))
    return Settled(found, _drift(locked, found)) if found else None


def check(cache: Path, locked: Sequence[Pin]) -> None:
    """Check that no file in the cache has the name of a locked file but different content.

    Raises:
        LockError: a file has other content. The message names its package.
    """
    _check(locked, archive.others(cache, locked))


def fetch_again(
    toolchain: Toolchain, cache: Path, question: Question, locked: Sequence[Pin], rules: Rules
) -> None:
    """Fetch the files of a settled question again, after they were removed from the cache.

    Raises:
        ImageError: they can no longer be fetched. The next command settles the question again.
    """
    try:
        if settled := remembered(cache, question, locked):
            _fetch(toolchain, cache, settled.resolution, rules)
    except ImageError:
        answers.forget(cache, _key(question, locked))
        raise


def from_snapshot(toolchain: Toolchain, cache: Path, resolution: Resolution, snapshot: str) -> bool:
    """Fetch the files of a resolution from the archive's snapshots. Returns whether this worked."""
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
    except ImageError:  # the archive is out of reach, or no longer has a package
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
    """Fetch from the archive, else from its snapshot.

    An archive sometimes lists old source packages that it no longer has.
    """
    try:
        archive.fetch(toolchain, cache, newest)
    except ImageError:
        if not from_snapshot(toolchain, cache, newest, rules.snapshot):
            raise


def _key(question: Question, locked: Sequence[Pin]) -> dict[str, Any]:
    asked = {name: value for name, value in asdict(question).items() if name != "part" or value}
    return {**asked, "locked": lock.digest_of(locked)}


def _wanted(question: Question, locked: Sequence[Pin]) -> bool:
    """Whether the pins answer the whole question: the lock may be older than the question."""
    names = {pin.name for pin in locked}
    kept = {name for name in question.wanted if archive.matches(name, question.keep)}
    return kept <= names and all(question.version in ("", pin.version) for pin in locked)


def _drift(locked: Sequence[Pin], found: Resolution) -> tuple[Drift, ...]:
    return tuple(lock.drift(locked, found.pins)) if locked else ()


def _check(locked: Sequence[Pin], found: Sequence[Pin]) -> None:
    if wrong := lock.contradiction(locked, found):
        words = lock.contradicted(wrong[0], wrong[1].sha256)
        raise LockError(words, hint=lock.CONTRADICTED_HINT)
