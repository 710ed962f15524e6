"""The part of a tree that runs a lab: QEMU, the libraries that it loads, and a few settings.

It is a tenth of the tree. Which files these are follows from the tree alone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from lab.model import Architecture, Command, Toolchain

#: Programs see these files whether they are installed or not.
_SETTINGS = ("etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf")
_LOADER = "/lib64/ld-linux-x86-64.so.2"
#: Files that differ from one machine to another: they say where the archive is.
_OF_THE_MACHINE = "etc/apt/sources.list"
_LIBRARY = re.compile(r"(?:^|=> )\s*(/\S+) \(0x", re.MULTILINE)


def files(toolchain: Toolchain, contents: Mapping[str, str], arch: Architecture) -> set[str]:
    """The files of a tree with these contents that a lab of this architecture is run with.

    Raises:
        ToolchainError: QEMU's libraries cannot be listed.
    """
    program = f"/usr/bin/{arch.qemu}"
    said = toolchain.run(Command([_LOADER, "--list", program])).stdout.decode(errors="replace")
    wanted = [program, _LOADER, *_LIBRARY.findall(said), *_SETTINGS]
    return {path for name in wanted for path in _chain(name, contents)}


def whole(contents: Mapping[str, str]) -> set[str]:
    """All files of a tree that are the same on every machine."""
    return {path for path in contents if not path.startswith(_OF_THE_MACHINE)}


def _chain(name: str, contents: Mapping[str, str]) -> Iterable[str]:
    """A file, with the links on the way to it."""
    left, done = [one for one in name.split("/") if one], ""
    for _ in range(100):  # a tree has no such chains of links
        if not left:
            return
        path = posixpath.join(done, left.pop(0))
        target = contents.get(path, "").partition("-> ")[2]
        if target:
            yield path
            found = posixpath.normpath(posixpath.join("/", done, target))
            left = [*(one for one in found.split("/") if one), *left]
            done = ""
        elif path in contents:
            yield path
            return
        else:
            done = path
