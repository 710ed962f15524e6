"""Finds kernel modules with all that they need, in the order in which they go in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lab.errors import ImageError
from lab.images import elf

#: A module's file by the module's name, or ``None`` if there is no such module.
Finder = Callable[[str], bytes | None]


def canonical(name: str) -> str:
    """A module's one name: the kernel takes ``-`` and ``_`` for the same."""
    return name.replace("-", "_")


def ordered(wanted: Iterable[str], find: Finder) -> list[tuple[str, bytes]]:
    """``wanted`` and everything they depend on, each after what it depends on.

    Raises:
        ImageError: a module is missing, is no module, or depends on itself.
    """
    done: dict[str, bytes] = {}
    for name in wanted:
        _visit(canonical(name), find, done, ())
    return list(done.items())


def needed(found: Mapping[str, bytes]) -> set[str]:
    """The names of the modules that these modules (name → file) depend on."""
    return {name for module, data in found.items() for name in _depends(module, data)}


def _visit(name: str, find: Finder, done: dict[str, bytes], chain: tuple[str, ...]) -> None:
    if name in done:
        return
    path = " needed by ".join((name, *reversed(chain)))
    if name in chain:
        raise ImageError(f"kernel modules need each other: {path}")
    data = find(name)
    if data is None:
        raise ImageError(f"the kernel package has no module {path}")
    for needed in _depends(path, data):
        _visit(needed, find, done, (*chain, name))
    done[name] = data


def _depends(path: str, data: bytes) -> list[str]:
    try:
        depends = elf.modinfo(data).get("depends", "")
    except ValueError as error:
        raise ImageError(f"kernel module {path}: {error}") from error
    return [canonical(name) for name in depends.split(",") if name]
