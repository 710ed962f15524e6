"""Packages of another suite and architecture: decides on versions and fetches the files.

:func:`resolve` decides which versions are used. The answer is remembered and stays valid until
``refresh``. :func:`fetch` returns the files of any resolution. If the cache has everything, neither
uses the network.

``<cache>/apt/<suite>-<arch>/`` holds apt's state, ``<cache>/apt/resolutions/`` the answers, and
``<cache>/packages/<sha256>/<file>`` the files, which are checked against their sha256 at every use.
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
    """The wanted packages and all their dependencies, limited to names that ``keep`` matches.

    ``arch`` may be ``source``. Then ``wanted`` is one name, and ``version`` may be given, without
    an epoch: the name of a ``.dsc`` file does not contain the epoch.

    ``part`` names a second question of the same suite and architecture. The lock uses it too.
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
            ImageError: the archive is out of reach, has no such package, or has the source
                package only in another version (the message names that version).
        """
        return resolve(toolchain, cache, self, refresh=True)

    def identity(self) -> dict[str, Any]:
        """The parts of the question that the remembered answer is named by."""
        if self.arch == SOURCE:
            version = {"version": self.version} if self.version else {}
            return {"suite": self.suite, "source": self.wanted[0]} | version
        lists = {"wanted": [*self.wanted], "keep": [*self.keep]}
        return {"suite": self.suite, "arch": self.arch} | lists


def resolve(
    toolchain: Toolchain, cache: Path, question: Question, *, refresh: bool = False
) -> Resolution:
    """The remembered answer. If there is none, or with ``refresh``, what the archive answers now.

    Raises:
        ImageError: as :meth:`Question.newest`.
    """
    if not refresh and (known := recall(cache, question.identity())):
        return known
    suite, arch = question.suite, question.arch
    apt = _apt(toolchain, cache, Resolution(suite, arch, ()))
    with _claimed(cache, suite, arch):
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
            f"the archive has the source package {name} of {suite} in version {there}, but "
            f"{version} is needed: it is the version of the binary packages",
            hint="image.lock --update takes newer packages",
        ) from error
    uris = debian.uris(done.stdout.decode(errors="replace"))
    found = next(_version(file) for file, _, _ in uris if file.endswith(".dsc"))
    return [Pin(name, found, SOURCE, sha, size, file) for file, size, sha in uris]


def expected(cache: Path, resolution: Resolution) -> list[Package]:
    """The files of a resolution. They exist only after :func:`fetch` was called."""
    return [
        Package(pin.name, pin.version, pin.arch, pin.sha256, pin.size, _kept(cache, pin))
        for pin in resolution.pins
    ]


def fetch(
    toolchain: Toolchain, cache: Path, resolution: Resolution, snapshot: str = ""
) -> list[Package]:
    """The files of a resolution, in its order. Missing files are downloaded.

    With ``snapshot`` they come from the archive's snapshot of that time.

    Raises:
        ImageError: a file cannot be downloaded, or its bytes are not those of its pin.
    """
    if needed := missing(cache, resolution.pins):
        with _claimed(cache, resolution.suite, resolution.arch):
            _download(_apt(toolchain, cache, resolution, snapshot), cache, resolution, needed)
    return expected(cache, resolution)


def missing(cache: Path, pins: Sequence[Pin]) -> list[Pin]:
    """The pins whose files are not in the cache, or are damaged there."""
    return [pin for pin in pins if not _is_intact(_kept(cache, pin), pin)]


def others(cache: Path, pins: Sequence[Pin]) -> list[Pin]:
    """The files that the cache has under the same name with other content, for missing pins."""
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
    """Resolve and fetch a source package: its ``.dsc`` file and tarballs."""
    return fetch(toolchain, cache, resolve(toolchain, cache, Question(suite, SOURCE, (name,))))


def _download(apt: Apt, cache: Path, resolution: Resolution, missing: Sequence[Pin]) -> None:
    """Download with apt into a temporary folder. Keep only files with the right sha256."""
    parent = cache / "packages"
    parent.mkdir(parents=True, exist_ok=True)
    mark = f".new-{resolution.suite}-{resolution.arch}-"
    for left in parent.glob(f"{mark}*"):  # from a killed command: this one holds the claim
        files.remove_tree(left)
    with tempfile.TemporaryDirectory(dir=parent, prefix=mark) as name:
        into = Path(name)
        with current().looking(_growth(into, missing)):
            _ask(apt, resolution, missing, into)
        for pin in missing:
            _keep(cache, pin, _found(into, pin))


def _growth(into: Path, missing: Sequence[Pin]) -> Callable[[], str]:
    """A function that says, for the progress line, how much has been downloaded."""
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
    """Update the index: the archive may have changed since the index was read.

    If that fails too, ``failure`` is raised: it names what was wanted, so it says more.
    """
    try:
        apt.update()
    except ImageError:
        raise failure from None


def _found(into: Path, pin: Pin) -> Path:
    """The downloaded file. apt writes an epoch's colon as %3a, and pins use apt's file names."""
    return into / pin.file


def _keep(cache: Path, pin: Pin, downloaded: Path) -> None:
    if not _is_intact(downloaded, pin):
        got = files.sha256_file(downloaded) if downloaded.is_file() else "none"
        raise ImageError(
            f"package {pin.name} {pin.version} ({pin.arch}) is not the pinned one: "
            f"{pin.file} should have sha256 {pin.sha256}, but has {got}",
            hint="the archive or a proxy serves another file; it was not kept",
        )
    kept = _kept(cache, pin)
    kept.parent.mkdir(parents=True, exist_ok=True)
    downloaded.chmod(0o644)
    downloaded.rename(kept)


def _is_intact(path: Path, pin: Pin) -> bool:
    try:
        return path.stat().st_size == pin.size and files.sha256_file(path) == pin.sha256
    except OSError:
        return False


def _kept(cache: Path, pin: Pin) -> Path:
    return cache / "packages" / pin.sha256 / pin.file


def _apt(toolchain: Toolchain, cache: Path, what: Resolution, snapshot: str = "") -> Apt:
    folder = cache / "apt" / f"{what.suite}-{what.arch}"
    return Apt(toolchain, folder, what.suite, what.arch, snapshot)


def _claimed(cache: Path, suite: str, arch: str) -> Any:
    return files.locked(cache / "apt" / f"{suite}-{arch}.lock")


def _version(dsc: str) -> str:
    return unquote(dsc).removesuffix(".dsc").partition("_")[2]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name matches one of the patterns, as the shell matches file names."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def _order(pin: Pin) -> tuple[str, str]:
    return pin.name, pin.file
