"""How dom0's initramfs gets a toolstack that was built from a tree instead of the packaged one."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.errors import ImageError
from lab.images.contents import Contents
from lab.images.tools import Tools
from lab.model import Mount, Package
from lab.packages import deb
from lab.util import reading

#: The folder where programs from a tree look for others.
OWN = "/usr/lib/xen/bin"
#: The other packages of the toolstack, by how their names begin.
_PACKAGES = ("xen-utils", "xenstore-utils", "libxen")
#: Of the packages: a program that is not in the folder of the release.
_ELSEWHERE = ("/usr/bin/xenstore-ls",)

#: Where the headers of a tree are while our own programs are compiled.
HEADERS = "/build/headers"
#: How: Xen's headers are written in GNU's dialect of C.
COMPILE = ("-std=gnu11", "-isystem", HEADERS)


def without(packages: Sequence[Package]) -> list[Package]:
    """The packages that are not of the toolstack."""
    return [package for package in packages if not package.name.startswith(_PACKAGES)]


def lay(tree: deb.Tree, wanted: Contents, tools: Tools, packaged: str) -> Contents:
    """Put the tools into ``tree``, and say where ``wanted`` finds them and puts them in dom0.

    ``packaged``: the folder of the packaged tools.

    Raises:
        ImageError: a program is not among the tools.
    """
    programs: dict[str, str] = {}
    for target, source in wanted.programs.items():
        if not (source.startswith(f"{packaged}/") or source in _ELSEWHERE):
            programs[target] = source
            continue
        name = posixpath.basename(source)
        path = f"{OWN}/{name}"
        tree.add(deb.Member(path, _data(tools, f"bin/{name}"), executable=True))
        programs[target.replace(packaged.lstrip("/"), OWN.lstrip("/"))] = path
    for name in tools.entry.outputs:
        if name.startswith("lib/"):
            tree.add(deb.Member(f"/usr/{name}", _data(tools, name)))
    return replace(wanted, programs=programs)


def headers(folder: Path) -> Mount:
    """The headers that belong to the libraries."""
    return Mount(folder, HEADERS)


def _data(tools: Tools, name: str) -> bytes:
    if name not in tools.entry.outputs:
        raise ImageError(
            f"the tools of Xen {tools.version} have no {posixpath.basename(name)}",
            hint="dom0's initramfs takes it (images/dom0/contents)",
        )
    return reading.data(tools.entry.image(name).path, reading.IMAGE)
