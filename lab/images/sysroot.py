"""What programs for dom0 are compiled against: Debian's development packages.

The entry has the two folders that Debian's cross compiler searches by itself, ``include`` and
``lib``. They are laid over its own, so that no header and no library of the toolchain's newer
release is found: with ``--sysroot`` alone gcc still takes those.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab.errors import ImageError
from lab.model import ARM32, Architecture, Command, Mount, Package, Toolchain
from lab.store import Entry, Store
from lab.util.files import sha256_file

KIND = "sysroot"
#: Of a package: what becomes ``include`` and what ``lib``, the more special one last.
_SOURCES = {
    "include": ("usr/include", "usr/include/{triplet}"),
    "lib": ("usr/lib", "lib", "usr/lib/{triplet}", "lib/{triplet}"),
}
#: Part of a linker script such as libc.so: a file by its absolute path.
_ABSOLUTE = r"(?<![\w.])/(?:usr/)?lib/(?:{triplet}/)?(?=[\w.-]+)"


@dataclass(frozen=True)
class Sysroot:
    """The stored headers and libraries of an architecture."""

    entry: Entry
    arch: Architecture

    @property
    def key(self) -> str:
        """The key of the entry."""
        return self.entry.key

    @property
    def mounts(self) -> list[Mount]:
        """What makes the cross compiler use them: they lie where it searches."""
        searched = f"/usr/{self.arch.debian.triplet}"
        return [Mount(self.entry.path / name, f"{searched}/{name}") for name in _SOURCES]


def build(
    store: Store, toolchain: Toolchain, packages: Sequence[Package], arch: Architecture = ARM32
) -> Sysroot:
    """The headers and libraries of ``packages``, as the cross compiler takes them.

    Raises:
        ImageError: they hold no C library.
    """
    inputs = {
        "recipe": sha256_file(Path(__file__)),
        "packages": {package.name: package.sha256 for package in packages},
    }

    triplet = arch.debian.triplet

    def make(out: Path) -> None:
        raw = out / ".raw"
        raw.mkdir()
        for package in packages:
            mounts = [Mount(package.path, "/in/package"), Mount(raw, "/out", writable=True)]
            argv = ["dpkg-deb", "--extract", "/in/package", "/out"]
            toolchain.run(Command(argv, mounts))
        for name, sources in _SOURCES.items():
            (out / name).mkdir()
            for source in sources:
                _lay(raw, raw / source.format(triplet=triplet), out / name, arch)
        shutil.rmtree(raw)
        if not (out / "lib/libc.so").is_file():
            raise ImageError("the development packages hold no C library")

    return Sysroot(store.make(KIND, inputs, make), arch)


def _lay(raw: Path, source: Path, into: Path, arch: Architecture) -> None:
    """Copy ``source`` into ``into``; links become the files that they name."""
    for path in _files(source):
        target = into / path.relative_to(source)
        data = _real(raw, path).read_bytes() if _real(raw, path).is_file() else None
        if data is None:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(_relative(data, arch))


def _files(folder: Path) -> Iterator[Path]:
    for top, _, names in os.walk(folder):
        yield from (Path(top) / name for name in sorted(names))


def _real(raw: Path, path: Path) -> Path:
    """The file behind a link; an absolute one begins at the package's root."""
    for _ in range(8):
        if not path.is_symlink():
            return path
        target = PurePosixPath(path.readlink())
        path = raw / target.relative_to("/") if target.is_absolute() else path.parent / target
    return path


def _relative(data: bytes, arch: Architecture) -> bytes:
    """A linker script finds its files in the folders that are searched."""
    absolute = re.compile(_ABSOLUTE.format(triplet=arch.debian.triplet).encode())
    return absolute.sub(b"", data) if data.startswith(b"/* GNU ld script") else data
