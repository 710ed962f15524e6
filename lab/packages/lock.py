"""``labs.lock``: every package that a lab is made of, and what was built from them.

JSON, sorted, one package a line, so that a change reads well in version control::

    {"format": 1, "snapshot": "20261122T120000Z",
     "toolchain": [{name, version, arch, sha256, size, file}, …],
     "archives": {"bookworm/armhf": [{…}], "trixie/source": [{…}]},
     "images": {"dom0/kernel": "<sha256>", …},
     "runs": {"hello": {"digest": "<sha256>", "made of": {part: "<sha256, its beginning>"}}, …}}

A lock ships with the lab. A lock beside the user's own labs.yaml is used in its place. A lock names
no archive: it says what the packages are, and each machine decides where they come from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lab.errors import ImageError
from lab.util import debian, files, reading
from lab.util.resources import resource

FORMAT = 1
NAME = "labs.lock"


@dataclass(frozen=True)
class Pin:
    """One package file, identified by its content.

    ``file`` is its name in the archive, ``size`` is in bytes.
    """

    name: str
    version: str
    arch: str
    sha256: str
    size: int
    file: str


@dataclass(frozen=True)
class Drift:
    """A package whose version differs from the lock.

    ``locked`` is empty if the package was added, ``found`` if it was removed.
    """

    name: str
    arch: str
    locked: str
    found: str

    def __str__(self) -> str:
        return f"{self.name} ({self.arch}): {self.locked or 'none'} → {self.found or 'none'}"


@dataclass(frozen=True)
class Lock:
    """What is pinned. ``archives``: ``suite/arch`` → pins; ``images``: name → sha256.

    ``snapshot`` is a time in UTC at which an archive had exactly these packages, written as apt
    names snapshots (``20261122T120000Z``). An empty lock pins nothing.
    """

    toolchain: tuple[Pin, ...] = ()
    archives: Mapping[str, tuple[Pin, ...]] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    snapshot: str = ""
    #: Name of a shipped lab → the digest of its run (lab.digest), and what the run was made of.
    runs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """The sha256 of all pins. The images are left out, because they follow from the pins."""
        archives = {name: digest_of(pins) for name, pins in self.archives.items()}
        return files.sha256_json([digest_of(self.toolchain), archives])

    @property
    def packages(self) -> int:
        """How many package files are pinned."""
        return len(self.toolchain) + sum(map(len, self.archives.values()))

    def of(self, suite: str, arch: str, names: Collection[str] = ()) -> tuple[Pin, ...]:
        """The pins of an archive: all of them, or only those in ``names``."""
        pins = self.archives.get(f"{suite}/{arch}", ())
        return tuple(pin for pin in pins if not names or pin.name in names)


@dataclass(frozen=True)
class MadeUnder:
    """The lock that a run was made under (its digest), and the drift from it."""

    digest: str
    drift: tuple[Drift, ...] = ()


def place(labs: Path) -> Path:
    """The lock that is used for a labs file: the one beside it, else the one that ships.

    Raises:
        ImageError: there is neither.
    """
    beside = labs.absolute().parent / NAME
    if os.path.lexists(beside):  # load() reports it if it is not a plain file
        return beside
    try:
        return resource(NAME)
    except FileNotFoundError as error:
        hint = "install the lab again, or make a lock: ./inv image.lock --update"
        raise ImageError(str(error), hint=hint) from None


def beside(file: Path, labs: Path) -> bool:
    """Whether a lock lies beside a labs file. Then its images are those of that file."""
    return file.resolve().parent == labs.resolve().parent


def load(path: Path) -> Lock:
    """Read a lock.

    Raises:
        ImageError: the file is missing, or is not a lock.
    """
    try:
        data = reading.json_file(path)
        if data["format"] != FORMAT:
            raise ValueError(f"its format is {data['format']}, not {FORMAT}")
        archives = {name: pins_of(found) for name, found in data["archives"].items()}
        images = {str(name): str(sha256) for name, sha256 in data["images"].items()}
        runs = {name: dict(found) for name, found in data.get("runs", {}).items()}
        return Lock(pins_of(data["toolchain"]), archives, images, str(data["snapshot"]), runs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(
            f"{path} cannot be read as a lock: {getattr(error, 'strerror', None) or error}",
            hint="restore it from version control, or make a new one: ./inv image.lock --update",
        ) from error


def dump(lock: Lock) -> str:
    """The text of a lock."""
    head = f'{{\n "format": {FORMAT},\n "snapshot": {json.dumps(lock.snapshot)},\n'
    archives = [
        f"  {json.dumps(name)}: {_lines(pins)}" for name, pins in sorted(lock.archives.items())
    ]
    images = [
        f"  {json.dumps(name)}: {json.dumps(sha)}" for name, sha in sorted(lock.images.items())
    ]
    runs = [
        f"  {json.dumps(name)}: {json.dumps(found, sort_keys=True)}"
        for name, found in sorted(lock.runs.items())
    ]
    sections = (
        f' "toolchain": {_lines(lock.toolchain)}',
        ' "archives": {\n' + ",\n".join(archives) + "\n }",
        ' "images": {\n' + ",\n".join(images) + "\n }",
        *([' "runs": {\n' + ",\n".join(runs) + "\n }"] if runs else []),
    )
    return head + ",\n".join(sections) + "\n}\n"


def drift(locked: Sequence[Pin], found: Sequence[Pin]) -> list[Drift]:
    """The packages that were added, removed, or have another version.

    Other bytes under the same version are not drift but an error (:func:`contradiction`).
    """
    before = {(pin.name, pin.arch): pin.version for pin in locked}
    now = {(pin.name, pin.arch): pin.version for pin in found}
    return [
        Drift(name, arch, before.get((name, arch), ""), now.get((name, arch), ""))
        for name, arch in sorted(before.keys() | now.keys())
        if before.get((name, arch)) != now.get((name, arch))
    ]


def drift_of_versions(locked: Sequence[Pin], found: Mapping[str, str], arch: str) -> list[Drift]:
    """As :func:`drift`, if only names and versions (``found``) are known.

    ``arch`` is the architecture of packages that are not locked.
    """
    archs = {pin.name: pin.arch for pin in locked}
    pins = [Pin(name, version, archs.get(name, arch), "", 0, "") for name, version in found.items()]
    return drift(locked, pins)


def contradiction(locked: Sequence[Pin], found: Sequence[Pin]) -> tuple[Pin, Pin] | None:
    """The first package whose name and version are locked but whose bytes differ.

    Returns its locked pin and its found pin, or ``None`` if there is no such package.
    """
    known = {(pin.name, pin.version, pin.arch, pin.file): pin for pin in locked}
    for pin in found:
        other = known.get((pin.name, pin.version, pin.arch, pin.file))
        if other and other.sha256 != pin.sha256:
            return other, pin
    return None


def contradicted(locked: Pin, found: str) -> str:
    """The error text for a package whose bytes are not the locked ones. ``found`` is a sha256."""
    return (
        f"package {locked.name} {locked.version} ({locked.arch}) is not the one in {NAME}: "
        f"{locked.file} is locked with sha256 {locked.sha256}, but has {found}"
    )


#: What to do about :func:`contradicted`.
CONTRADICTED_HINT = (
    f"restore {NAME} from version control; if it was not changed, the archive or a proxy "
    "serves another file"
)


#: How many drifted packages an error names.
FEW = 4


def refused(drifts: Sequence[Drift]) -> str:
    """The error text for drift where none is allowed."""
    some = "; ".join(map(str, drifts[:FEW]))
    more = f"; and {len(drifts) - FEW} more" if len(drifts) > FEW else ""
    return f"the archive has other versions than the lock: {some}{more}"


#: What to do about :func:`refused`.
REFUSED_HINT = (
    "update the lock and commit it: ./inv image.lock --update; or use a cache (LAB_CACHE) that has "
    "the locked packages; or run without --locked (LAB_LOCKED): then the images are compared"
)


def changes(before: Lock, after: Lock) -> Iterator[str]:
    """One line for each change from one lock to the next."""
    yield from _changes("toolchain", before.toolchain, after.toolchain)
    for name in sorted(before.archives.keys() | after.archives.keys()):
        yield from _changes(name, before.archives.get(name, ()), after.archives.get(name, ()))
    for name in sorted(before.images.keys() | after.images.keys()):
        was, now = before.images.get(name, "none"), after.images.get(name, "none")
        if was != now:
            yield f"image {name}: {was[:16]} → {now[:16]}"


def digest_of(pins: Sequence[Pin]) -> str:
    """The sha256 of some pins. Their order does not matter."""
    lines = sorted("\t".join(map(str, vars(pin).values())) for pin in pins)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def pins_of_uris(text: str) -> list[Pin]:
    """The packages that ``apt-get --print-uris`` printed, with ``Acquire::ForceHash "SHA256"``."""
    found = []
    for file, size, sha in debian.uris(text):
        name, version, arch = unquote(file).removesuffix(".deb").split("_")
        found.append(Pin(name, version, arch, sha, size, file))
    return found


def toolchain_key(pins: Sequence[Pin]) -> str:
    """The key of a toolchain with these packages. It is the same for every door."""
    return files.sha256_json({pin.name: pin.sha256 for pin in pins})


def pins_of(found: Sequence[Mapping[str, Any]]) -> tuple[Pin, ...]:
    """Pins from JSON.

    Raises:
        TypeError: a field is missing or unknown.
    """
    return tuple(Pin(**pin) for pin in found)


def _changes(where: str, before: Sequence[Pin], after: Sequence[Pin]) -> Iterator[str]:
    yield from (f"{where}: {one}" for one in drift(before, after))
    old = {(pin.name, pin.version, pin.arch, pin.file): pin.sha256 for pin in before}
    for pin in after:
        was = old.get((pin.name, pin.version, pin.arch, pin.file))
        if was and was != pin.sha256:
            what = f"{pin.name} {pin.version} ({pin.arch}), {pin.file}"
            yield f"{where}: {what}: sha256 {was[:16]} → {pin.sha256[:16]}"


def _lines(pins: Sequence[Pin]) -> str:
    texts = [f"  {json.dumps(vars(pin), ensure_ascii=False)}" for pin in pins]
    return "[\n" + ",\n".join(texts) + "\n ]"
