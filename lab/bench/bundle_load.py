"""Measures a bundle: its size, and how long it takes to save and to load it.

The baseline of the loading is the time in which this machine reads and hashes what is loaded.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lab.api import Context, save_bundle
from lab.bench.figure import Figure, at_most
from lab.bundle import loading
from lab.bundle.file import opened
from lab.store import cache_root
from lab.toolchain import listing, tree_cache
from lab.util import files
from lab.util.deadline import Deadline

#: The most that the bundle of a lab may have, in MB.
SIZE = 100.0
#: How many times as long as to hash its files it may take to load a bundle: it hashes the bundle
#: and the files, unpacks and writes them.
WORK = 12.0
#: How often the toolchain is looked at, and the most that it may take (ms).
LOOKS, SHARE = 5, 30.0


def measure(context: Context, name: str, say: Callable[[str], None]) -> list[Figure]:
    """The figures of the bundle of a lab.

    Raises:
        LabError: something of the lab cannot be made.
    """
    with tempfile.TemporaryDirectory() as folder:
        say("bundle: saving")
        clock = Deadline(0)
        saved = save_bundle(context, Path(folder, "a.bundle"), [name])
        took = clock.elapsed()
        say("bundle: loading")
        cache = Path(folder, "cache")
        cache.mkdir()
        clock = Deadline(0)
        with opened(saved.file) as bundle:
            loading.load(bundle, cache, context.progress)
        loaded = clock.elapsed()
        clock = Deadline(0)
        files.tree_hashes(cache)
        hashed = clock.elapsed()
    return [
        at_most(f"bundle of {name}", saved.size / 1e6, "MB", SIZE),
        Figure("bundle.save, all cached", took, "s"),
        Figure("bundle.load into an empty cache", loaded, "s"),
        at_most("bundle.load, to hashing its files", loaded / hashed, "x", WORK),
        *_looking(),
    ]


def _looking() -> list[Figure]:
    """How long each command looks at the files of its toolchain."""
    trees = [made for _, made in tree_cache.of_any(cache_root()) if made.listed]
    times = [_look(made.path) for made in trees for _ in range(LOOKS)]
    name = "processor time to look at the toolchain's files"
    return [at_most(name, 1000 * statistics.median(times), "ms", SHARE)] if times else []


def _look(tree: Path) -> float:
    """The time that a processor worked: on a busy machine the rest is somebody else's."""
    began = time.process_time()
    listing.looks_the_same(tree)
    return time.process_time() - began
