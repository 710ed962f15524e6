"""Reads the list of what goes into dom0's initramfs (``images/dom0/contents``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.errors import ImageError
from lab.model import ARM32, Architecture, Release

#: What the list calls the folder of the packaged tools.
TOOLS = "TOOLS"


@dataclass(frozen=True)
class Contents:
    """The parsed list. ``programs``: path in dom0 → path in a package.

    ``links``: path in dom0 → target.
    """

    programs: dict[str, str]
    libraries: tuple[str, ...]
    modules: tuple[str, ...]
    applets: tuple[str, ...]
    folders: tuple[str, ...]
    links: dict[str, str]


def parse(text: str, arch: Architecture = ARM32, release: Release | None = None) -> Contents:
    """Parse the list for an architecture and a release of Xen (``None``: its default).

    The first lines of ``images/dom0/contents`` explain the format.

    Raises:
        ImageError: a line is not understood. The message has the line's number.
    """
    folder = (release or arch.releases[0]).programs
    entries = list(_entries(text.replace(TOOLS, folder), arch))

    def words(kind: str) -> tuple[str, ...]:
        return tuple(word for name, rest in entries if name == kind for word in rest)

    def pairs(kind: str) -> list[tuple[str, str]]:
        return [(rest[0], rest[1]) for name, rest in entries if name == kind]

    return Contents(
        programs={target.lstrip("/"): source for source, target in pairs("program")},
        libraries=words("library"),
        modules=words("module"),
        applets=words("applet"),
        folders=words("folder"),
        links=dict(pairs("link")),
    )


def _entries(text: str, arch: Architecture) -> Iterator[tuple[str, tuple[str, ...]]]:
    for number, line in enumerate(text.splitlines(), 1):
        kind, *rest = line.partition("#")[0].split() or [""]
        if kind == "only" and len(rest) > 1:
            word, kind, *rest = rest
            if word != arch.xen:
                continue
        if kind in ("program", "link") and len(rest) == 3 and rest[1] == "->":
            yield kind, (rest[0], rest[2])
        elif kind in ("library", "module", "applet", "folder") and rest and "->" not in rest:
            yield kind, tuple(rest)
        elif kind:
            raise ImageError(f"contents of the initramfs, line {number}: not understood: {line}")
