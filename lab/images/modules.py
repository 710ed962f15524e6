"""Finds kernel modules and all modules that they need, in the order in which they are loaded."""

from __future__ import annotations

import lzma
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence

from lab.errors import ImageError
from lab.images import elf
from lab.model import Package
from lab.packages import deb

#: Returns a module's file for its name, or ``None`` if there is no such module.
Finder = Callable[[str], bytes | None]
#: How the names of modules end in Debian's packages. Since Debian 13 they are packed.
PACKED = ".ko.xz"
ENDINGS = (".ko", PACKED)


def canonical(name: str) -> str:
    """A module's name with ``_`` only: to the kernel ``-`` and ``_`` are the same."""
    return name.replace("-", "_")


def taken(packages: Sequence[Package], wanted: Sequence[str]) -> list[tuple[str, bytes]]:
    """The wanted modules of a kernel's package, and those that they need, as :func:`ordered`.

    The package holds thousands of modules, so only the named ones are read, and reading stops at
    the last of them. If these need more modules, the package is read again.
    """
    names = {canonical(name) for name in wanted}
    while True:
        found = _found(packages, names)
        more = needed(found) - names
        if not more:
            return ordered(wanted, found.get)
        names.update(more)


def ordered(
    wanted: Iterable[str], find: Finder, where: str = "the kernel package"
) -> list[tuple[str, bytes]]:
    """The modules ``wanted`` and their dependencies (name, file), each after its dependencies.

    ``where`` they are looked for, for messages.

    Raises:
        ImageError: a module is missing, is not a module, or depends on itself.
    """
    done: dict[str, bytes] = {}
    for name in wanted:
        _visit(canonical(name), find, where, done)
    return list(done.items())


def needed(found: Mapping[str, bytes]) -> set[str]:
    """The names of the modules that these modules (name → file) depend on."""
    return {name for module, data in found.items() for name in _depends(module, data)}


def _found(packages: Sequence[Package], names: set[str]) -> dict[str, bytes]:
    """Those of the modules ``names`` that the packages have."""
    found: dict[str, bytes] = {}
    for member in deb.members(
        packages, lambda path: path.endswith(ENDINGS) and _module(path) in names
    ):
        found[_module(member.path)] = _unpacked(member)
        if found.keys() == names:
            break
    return found


def _module(path: str) -> str:
    return canonical(posixpath.basename(path).partition(".ko")[0])


def _unpacked(member: deb.Member) -> bytes:
    if not member.path.endswith(PACKED):
        return member.data
    try:
        return lzma.decompress(member.data)
    except lzma.LZMAError as error:
        raise ImageError(f"kernel module {member.path} is damaged: {error}") from error


def _visit(
    name: str, find: Finder, where: str, done: dict[str, bytes], chain: tuple[str, ...] = ()
) -> None:
    if name in done:
        return
    path = " needed by ".join((name, *reversed(chain)))
    if name in chain:
        raise ImageError(f"kernel modules need each other: {path}")
    data = find(name)
    if data is None:
        raise ImageError(f"{where} has no module {path}")
    for needed in _depends(path, data):
        _visit(needed, find, where, done, (*chain, name))
    done[name] = data


def _depends(path: str, data: bytes) -> list[str]:
    try:
        depends = elf.modinfo(data).get("depends", "")
    except ValueError as error:
        raise ImageError(f"kernel module {path}: {error}") from error
    return [canonical(name) for name in depends.split(",") if name]
