"""Compares everything in the cache that was made or built with what it was then. It reads all of
it."""

from __future__ import annotations

from pathlib import Path

from lab.doctor.checks import Finding, Grade
from lab.store import Store, intact
from lab.toolchain import listing, tree_cache, tree_check

_HINT = "the next command that needs it makes it again"


def verified(cache: Path) -> Finding:
    """Whether the toolchains and the images of a cache are as they were made.

    A toolchain that differs is compared again by the next command that uses it, which makes another
    one. Nothing else is changed.
    """
    wrong, trees = list[str](), 0
    for made in tree_cache.every(cache):
        trees += 1
        if made.listed and (differing := listing.differences(made.path)):
            listing.forget(made.path)
            wrong.append(f"toolchain {made.key[:16]}: {tree_check.few(differing)}")
    entries = list(Store(cache).entries())
    damaged = [entry for entry in entries if not intact(entry)]
    wrong += [f"image {entry.kind} {entry.key[:16]} is damaged" for entry in damaged]
    if wrong:
        return Finding("contents", Grade.FAIL, "; ".join(wrong), _HINT)
    what = f"{_count(trees, 'toolchain')} and {_count(len(entries), 'image')} are as they were made"
    return Finding("contents", Grade.OK, what)


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
