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
from pathlib import Path, PurePosixPath

from lab.errors import ImageError
from lab.model import ARM32, Command, Mount, Package, Toolchain
from lab.store import Entry, Store
from lab.util.files import sha256_file

KIND = "sysroot"
_TRIPLET = ARM32.debian.triplet
#: Where Debian's cross compiler searches, and where the entry's folders are mounted.
SEARCHED = f"/usr/{_TRIPLET}"
FOLDERS = ("include", "lib")

#: Of a package: what becomes ``include`` and what ``lib``, the more special one last.
_SOURCES = {
    "include": ("usr/include", f"usr/include/{_TRIPLET}"),
    "lib": ("usr/lib", "lib", f"usr/lib/{_TRIPLET}", f"lib/{_TRIPLET}"),
}
#: Part of a linker script such as libc.so: a file by its absolute path.
_ABSOLUTE = re.compile(rf"(?<![\w.])/(?:usr/)?lib/(?:{_TRIPLET}/)?(?=[\w.-]+)".encode())


def build(store: Store, toolchain: Toolchain, packages: Sequence[Package]) -> Entry:
    """The headers and libraries of ``packages``, as the cross compiler takes them.

    Raises:
        ImageError: they hold no C library.
    """
    inputs = {
        "recipe": sha256_file(Path(__file__)),
        "packages": {package.name: package.sha256 for package in packages},
    }

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
                _lay(raw, raw / source, out / name)
        shutil.rmtree(raw)
        if not (out / "lib/libc.so").is_file():
            raise ImageError("the development packages hold no C library")

    return store.make(KIND, inputs, make)


def mounts(entry: Entry) -> list[Mount]:
    """What makes the cross compiler use the entry."""
    return [Mount(entry.path / name, f"{SEARCHED}/{name}") for name in FOLDERS]


def _lay(raw: Path, source: Path, into: Path) -> None:
    """Copy ``source`` into ``into``; links become the files that they name."""
    for path in _files(source):
        target = into / path.relative_to(source)
        data = _real(raw, path).read_bytes() if _real(raw, path).is_file() else None
        if data is None:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(_relative(data))


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


def _relative(data: bytes) -> bytes:
    """A linker script finds its files in the folders that are searched."""
    return _ABSOLUTE.sub(b"", data) if data.startswith(b"/* GNU ld script") else data
