"""Finds the libraries that programs need, among the files of packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.errors import ImageError
from lab.images import elf
from lab.model import ARM32, Architecture
from lab.packages import deb


def folders(arch: Architecture) -> tuple[str, ...]:
    """The folders that hold libraries in the packages."""
    triplet = arch.debian.triplet
    return (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib")


def take(tree: deb.Tree, programs: Mapping[str, str]) -> dict[str, bytes]:
    """The programs' files by their path in dom0 (``programs``: that path → path in a package).

    Raises:
        ImageError: no package has one of the programs.
    """
    taken: dict[str, bytes] = {}
    for target, source in programs.items():
        member = tree.find(source)
        if member is None:
            raise ImageError(f"none of the packages has the program {source}")
        taken[target] = member.data
    return taken


def libraries(
    tree: deb.Tree,
    programs: Mapping[str, bytes],
    extra: Sequence[str] = (),
    arch: Architecture = ARM32,
) -> dict[str, bytes]:
    """The libraries and dynamic linkers that ``programs`` (path → bytes) need, by file name.

    ``extra``: file names of libraries that a program opens only while it runs.

    Raises:
        ImageError: no package has one of them. The message says which file needs it.
    """
    found: dict[str, bytes] = {}
    waiting = [("the list of contents", name) for name in extra]
    waiting += [(path, name) for path, data in programs.items() for name in _needs(path, data)]
    while waiting:
        who, name = waiting.pop()
        if name in found:
            continue
        found[name] = _library(tree, name, who, folders(arch))
        waiting += [(f"{name} (for {who})", more) for more in _needs(name, found[name])]
    return dict(sorted(found.items()))


def _library(tree: deb.Tree, name: str, who: str, places: Sequence[str]) -> bytes:
    for folder in places:
        member = tree.find(f"{folder}/{name}")
        if member is not None:
            return member.data
    raise ImageError(
        f"none of the packages has the library {name}, which {who} needs",
        hint="add its package to the packages of dom0",
    )


def _needs(path: str, data: bytes) -> list[str]:
    """File names of the dynamic linker and of the libraries it will load. Scripts need none."""
    if not elf.is_elf(data):
        return []
    try:
        dynamic = elf.dynamic(data)
    except ValueError as error:
        raise ImageError(f"{path}: {error}") from error
    loader = dynamic.interpreter.rpartition("/")[2]
    return [*([loader] if loader else []), *dynamic.needed]
