"""Builds the library that makes QEMU's main loop and its CPUs take turns (images/qemu/turns.c).

QEMU loads it under the virtual clock. It decides nothing that a guest can see, so no template and
no digest depends on it.
"""

from __future__ import annotations

from pathlib import Path

from lab.errors import ImageError
from lab.images import compiling, recipes
from lab.model import Command, Completed, Image, Mount, Toolchain
from lab.store import Store

KIND, NAME = "qemu-turns", "turns.so"
_SOURCES, _TO = "/mnt", "/srv"
_OPTIONS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-s",
            "-Wl,--build-id=none")  # fmt: skip


def build(store: Store, toolchain: Toolchain) -> Image:
    """The library for the QEMU of a toolchain.

    Raises:
        ImageError: it does not compile. ToolchainError: the toolchain has no compiler.
    """
    source = recipes.folder("qemu")
    line = ["gcc", *_OPTIONS, "-o", f"{_TO}/{NAME}", "turns.c"]
    made_by = {"sources": recipes.hashes(source), "command": line, "toolchain": toolchain.key}

    def make(folder: Path) -> None:
        mounts = [Mount(source, _SOURCES), Mount(folder, _TO, writable=True)]
        command = Command(line, mounts, cwd=_SOURCES)
        compiling.run(toolchain, NAME, command, refused=ImageError, words=_words)

    return store.make(KIND, made_by, make).image(NAME)


def _words(done: Completed) -> str:
    return done.stderr.decode(errors="replace")[-2000:]
