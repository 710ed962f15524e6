"""``labs.lock``: every package that a lab is made of, and what was built from them.

JSON, sorted, one package a line, so that a change reads well in version control::

    {"format": 1,
     "toolchain": {"suite": …, "arch": …, "packages": [{name, version, arch, sha256, size, file}]},
     "archives": {"bookworm/armhf": [{…}], "trixie/source": [{…}]},
     "images": {"hypervisor": "<sha256>", …}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import ImageError
from lab.util import files

FORMAT = 1


@dataclass(frozen=True)
class Pin:
    """One package file by content. ``file`` is its name in the archive; ``size`` in bytes."""

    name: str
    version: str
    arch: str
    sha256: str
    size: int
    file: str


@dataclass(frozen=True)
class Drift:
    """A package that is not the locked one any more; empty: it was added or went away."""

    name: str
    arch: str
    locked: str
    found: str

    def __str__(self) -> str:
        return f"{self.name} ({self.arch}): {self.locked or 'none'} → {self.found or 'none'}"


@dataclass(frozen=True)
class Lock:
    """What is pinned. ``archives`` is by ``suite/arch``; ``images`` by name, sha256."""

    toolchain: tuple[Pin, ...] = ()
    archives: Mapping[str, tuple[Pin, ...]] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Identity of the pins (not of the images, which follow from them)."""
        return files.sha256_json([_plain(self.toolchain), _all(self.archives)])


def load(path: Path) -> Lock:
    """Read a lock.

    Raises:
        ImageError: it is not there or not a lock.
    """
    try:
        data = json.loads(path.read_text())
        if data["format"] != FORMAT:
            raise ValueError(f"its format is {data['format']}, not {FORMAT}")
        archives = {name: _pins(found) for name, found in data["archives"].items()}
        return Lock(_pins(data["toolchain"]), archives, dict(data["images"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(
            f"{path} cannot be read as a lock: {error}",
            hint="restore it from version control, or make it anew: ./inv image.lock --update",
        ) from error


def dump(lock: Lock) -> str:
    """The text of a lock."""
    sections = [f' "toolchain": {_lines(lock.toolchain)}']
    archives = [f'  "{name}": {_lines(pins)}' for name, pins in sorted(lock.archives.items())]
    sections.append(' "archives": {\n' + ",\n".join(archives) + "\n }")
    images = [f'  "{name}": "{digest}"' for name, digest in sorted(lock.images.items())]
    sections.append(' "images": {\n' + ",\n".join(images) + "\n }")
    return f'{{\n "format": {FORMAT},\n' + ",\n".join(sections) + "\n}\n"


def drift(locked: Sequence[Pin], found: Sequence[Pin]) -> list[Drift]:
    """What differs in name and version; a hash that differs alone is no drift but an error."""
    before = {(pin.name, pin.arch): pin.version for pin in locked}
    now = {(pin.name, pin.arch): pin.version for pin in found}
    return [
        Drift(name, arch, before.get((name, arch), ""), now.get((name, arch), ""))
        for name, arch in sorted(before.keys() | now.keys())
        if before.get((name, arch)) != now.get((name, arch))
    ]


def contradiction(locked: Sequence[Pin], found: Sequence[Pin]) -> tuple[Pin, Pin] | None:
    """A package of one name and version whose bytes differ: locked and found."""
    known = {(pin.name, pin.version, pin.arch, pin.file): pin for pin in locked}
    for pin in found:
        other = known.get((pin.name, pin.version, pin.arch, pin.file))
        if other and other.sha256 != pin.sha256:
            return other, pin
    return None


def changes(before: Lock, after: Lock) -> Iterator[str]:
    """What a new lock changes, a line each."""
    yield from (f"toolchain: {one}" for one in drift(before.toolchain, after.toolchain))
    for name in sorted(before.archives.keys() | after.archives.keys()):
        pins = before.archives.get(name, ()), after.archives.get(name, ())
        yield from (f"{name}: {one}" for one in drift(*pins))
    for name in sorted(before.images.keys() | after.images.keys()):
        was, now = before.images.get(name, "none"), after.images.get(name, "none")
        if was != now:
            yield f"image {name}: {was[:16]} → {now[:16]}"


def _pins(found: Sequence[Mapping[str, Any]]) -> tuple[Pin, ...]:
    return tuple(Pin(**pin) for pin in found)


def _plain(pins: Sequence[Pin]) -> list[dict[str, Any]]:
    return [asdict(pin) for pin in pins]


def _all(archives: Mapping[str, Sequence[Pin]]) -> dict[str, list[dict[str, Any]]]:
    return {name: _plain(pins) for name, pins in archives.items()}


def _lines(pins: Sequence[Pin]) -> str:
    texts = [f"  {json.dumps(pin, ensure_ascii=False)}" for pin in _plain(pins)]
    return "[\n" + ",\n".join(texts) + "\n ]"
