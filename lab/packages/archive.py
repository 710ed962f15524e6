"""Packages of another suite and architecture: which ones, and their files.

:func:`resolve` decides on versions and is remembered, so that it is asked once and then holds
until ``refresh``; :func:`fetch` has the files of a resolution, wherever that came from. With
everything in the cache neither touches the network.

``<cache>/apt/<suite>-<arch>/`` is apt's state, ``<cache>/apt/resolutions/`` what was decided,
``<cache>/packages/<sha256>/<file>`` the files, checked against their sha256 whenever used.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lab.errors import ImageError
from lab.model import Package, Toolchain
from lab.packages import lock
from lab.packages.answers import Resolution, recall, remember
from lab.packages.apt import SOURCE, Apt, names_of
from lab.packages.lock import Pin
from lab.progress import Amount, current
from lab.util import debian, files


@dataclass(frozen=True)
class Question:
    """Packages to have, and all that they depend on, as far as a pattern in ``keep`` matches.

    ``arch`` may be ``source``: then ``wanted`` is one name, and ``version`` may be given. It must
    have no epoch: a ``.dsc`` file's name does not tell it.
    """

    suite: str
    arch: str
    wanted: tuple[str, ...]
    keep: tuple[str, ...] = ("*",)
    version: str = ""

    def newest(self, toolchain: Toolchain, cache: Path) -> Resolution:
        """What the archive answers now.

        Raises:
            ImageError: it cannot be reached, or has no such package, or has a source package
                in another version only, which is named then.
        """
        return resolve(toolchain, cache, self, refresh=True)

    def identity(self) -> dict[str, Any]:
        """What its answer is remembered under."""
        if self.arch == SOURCE:
            version = {"version": self.version} if self.version else {}
            return {"suite": self.suite, "source": self.wanted[0]} | version
        lists = {"wanted": [*self.wanted], "keep": [*self.keep]}
        return {"suite": self.suite, "arch": self.arch} | lists


def resolve(
    toolchain: Toolchain, cache: Path, question: Question, *, refresh: bool = False
) -> Resolution:
    """What was answered before, unless ``refresh``; else what the archive answers now.

    Raises:
        ImageError: as :meth:`Question.newest`.
    """
    if not refresh and (known := recall(cache, question.identity())):
        return known
    suite, arch = question.suite, question.arch
    apt = _apt(toolchain, cache, Resolution(suite, arch, ()))
    with _held(cache, suite, arch):
        apt.update()
        if arch == SOURCE:
            pins = _source_pins(apt, suite, question.wanted[0], question.version or None)
        else:
            pins = _binary_pins(apt, question)
    answer = Resolution(suite, arch, tuple(sorted(pins, key=_order)))
    return remember(cache, question.identity(), answer)


def _binary_pins(apt: Apt, question: Question) -> list[Pin]:
    what = f"{names_of(question.wanted)} of {question.suite} ({question.arch})"
    done = apt("install", "--print-uris", *question.wanted, what=what)
    found = lock.pins_of_uris(done.stdout.decode(errors="replace"))
    return [pin for pin in found if matches(pin.name, question.keep)]


def _source_pins(apt: Apt, suite: str, name: str, version: str | None) -> list[Pin]:
    what = f"the source package {name} of {suite}"
    wanted = f"{name}={version}" if version else name
    try:
        done = apt("source", "--download-only", "--print-uris", wanted, what=what)
    except ImageError as error:
        if version is None:
            raise
        there = ", ".join(sorted({pin.version for pin in _source_pins(apt, suite, name, None)}))
        raise ImageError(
            f"the archive's source package {name} of {suite} is version {there}, wanted is "
            f"{version}, the one of the packages that are installed",
            hint="image.lock --update takes newer packages",
        ) from error
    uris = debian.uris(done.stdout.decode(errors="replace"))
    found = next(_version(file) for file, _, _ in uris if file.endswith(".dsc"))
    return [Pin(name, found, SOURCE, sha, size, file) for file, size, sha in uris]


def expected(cache: Path, resolution: Resolution) -> list[Package]:
    """The files of a resolution as they will be once :func:`fetch` was called."""
    return [
        Package(pin.name, pin.version, pin.arch, pin.sha256, pin.size, _kept(cache, pin))
        for pin in resolution.pins
    ]


def fetch(
    toolchain: Toolchain, cache: Path, resolution: Resolution, snapshot: str = ""
) -> list[Package]:
    """The files of a resolution, in its order; the missing ones are downloaded, with
    ``snapshot`` out of apt's snapshot of that moment.

    Raises:
        ImageError: one cannot be had, or its bytes are not the ones that the pin names.
    """
    if needed := missing(cache, resolution.pins):
        with _held(cache, resolution.suite, resolution.arch):
            _download(_apt(toolchain, cache, resolution, snapshot), cache, resolution, needed)
    return expected(cache, resolution)


def missing(cache: Path, pins: Sequence[Pin]) -> list[Pin]:
    """Those whose files are not in the cache, or not whole."""
    return [pin for pin in pins if not _is_whole(_kept(cache, pin), pin)]


def others(cache: Path, pins: Sequence[Pin]) -> list[Pin]:
    """What the cache has, under the same file names, in place of those that it does not have."""
    found = (
        (pin, other)
        for pin in pins
        if not _kept(cache, pin).exists()
        for other in (cache / "packages").glob(f"[0-9a-f]*/{glob.escape(pin.file)}")
    )
    return [
        replace(pin, sha256=other.parent.name)
        for pin, other in found
        if files.sha256_file(other) == other.parent.name
    ]


def source(toolchain: Toolchain, cache: Path, *, suite: str, name: str) -> list[Package]:
    """The ``.dsc`` and tarballs of a source package: resolved, then fetched."""
    return fetch(toolchain, cache, resolve(toolchain, cache, Question(suite, SOURCE, (name,))))


def _download(apt: Apt, cache: Path, resolution: Resolution, missing: Sequence[Pin]) -> None:
    """Have apt download into a temporary folder; keep only what is exactly right."""
    parent = cache / "packages"
    parent.mkdir(parents=True, exist_ok=True)
    mark = f".new-{resolution.suite}-{resolution.arch}-"
    for left in parent.glob(f"{mark}*"):  # of a killed command: we hold the lock
        files.remove_tree(left)
    with tempfile.TemporaryDirectory(dir=parent, prefix=mark) as name:
        into = Path(name)
        with current().looking(_growth(into, missing)):
            _ask(apt, resolution, missing, into)
        for pin in missing:
            _keep(cache, pin, _found(into, pin))


def _growth(into: Path, missing: Sequence[Pin]) -> Callable[[], str]:
    """Says how much of the files has come."""
    amount = Amount(sum(pin.size for pin in missing))

    def look() -> str:
        files_there = (path for path in into.rglob("*") if path.is_file())
        done = sum(path.stat().st_size for path in files_there)
        return f"fetched {amount.words(done)}" if done else "asking the archive"

    return look


def _ask(apt: Apt, resolution: Resolution, missing: Sequence[Pin], into: Path) -> None:
    if resolution.arch == SOURCE:
        verb = ["source", "--download-only"]
        names = sorted({f"{pin.name}={pin.version}" for pin in missing})
    else:
        verb = ["download"]
        names = [f"{pin.name}={pin.version}" for pin in missing]
    what = f"{names_of(names)} of {resolution.suite} ({resolution.arch})"
    if apt.updated:
        try:
            apt(*verb, *names, what=what, network=True, into=into)
            return
        except ImageError as error:
            _update_after(apt, error)
    else:
        apt.update()
    apt(*verb, *names, what=what, network=True, into=into)


def _update_after(apt: Apt, failure: ImageError) -> None:
    """The archive may have moved on since its index was read. If it is out of reach, the
    first failure says more: it names what was wanted."""
    try:
        apt.update()
    except ImageError:
        raise failure from None


def _found(into: Path, pin: Pin) -> Path:
    """The downloaded file: apt writes the colon of an epoch as %3a, pins keep apt's names."""
    return into / pin.file


def _keep(cache: Path, pin: Pin, downloaded: Path) -> None:
    if not _is_whole(downloaded, pin):
        got = files.sha256_file(downloaded) if downloaded.is_file() else "nothing"
        raise ImageError(
            f"package {pin.name} {pin.version} ({pin.arch}) is not the one that is pinned: "
            f"{pin.file} should be sha256 {pin.sha256}, came as {got}",
            hint="the archive or a proxy serves something else; nothing of it was kept",
        )
    kept = _kept(cache, pin)
    kept.parent.mkdir(parents=True, exist_ok=True)
    downloaded.chmod(0o644)
    downloaded.rename(kept)


def _is_whole(path: Path, pin: Pin) -> bool:
    try:
        return path.stat().st_size == pin.size and files.sha256_file(path) == pin.sha256
    except OSError:
        return False


def _kept(cache: Path, pin: Pin) -> Path:
    return cache / "packages" / pin.sha256 / pin.file


def _apt(toolchain: Toolchain, cache: Path, what: Resolution, snapshot: str = "") -> Apt:
    folder = cache / "apt" / f"{what.suite}-{what.arch}"
    return Apt(toolchain, folder, what.suite, what.arch, snapshot)


def _held(cache: Path, suite: str, arch: str) -> Any:
    return files.locked(cache / "apt" / f"{suite}-{arch}.lock")


def _version(dsc: str) -> str:
    return unquote(dsc).removesuffix(".dsc").partition("_")[2]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is one of these patterns'."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def _order(pin: Pin) -> tuple[str, str]:
    return pin.name, pin.file
