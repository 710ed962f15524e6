"""The lab's own programs in dom0: which they are, and how they are compiled."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from lab.images import toolstack
from lab.images.tools import Tools
from lab.model import (
    ARM32,
    STEPS_ADDRESS,
    Architecture,
    Command,
    Mount,
    Package,
    Release,
    Toolchain,
)
from lab.util import reading, together

WORK = "/mnt"
#: How many programs are compiled at a time.
AT_ONCE = 2

#: The programs: source below images/dom0 → path in dom0. They are linked with the packaged C
#: library. It must have everything that the toolchain's headers declare.
COMPILED = {
    "src/lab-init.c": "init",
    **{
        f"src/{name}.c": f"usr/sbin/{name}"
        for name in (
            "lab-consoled", "lab-emergency", "lab-memory", "lab-trace", "lab-xentrace",
            "lab-clock", "lab-trace-stop", "lab-doorbell", "lab-busy", "lab-window",
        )
    },
}  # fmt: skip
#: The programs that use libxenctrl, and more linker options. lab-steps is linked to a fixed
#: address, because lab.dom0.steps stops there.
FIXED = {
    "src/lab-arinc653.c": ("usr/sbin/lab-arinc653", ()),
    "src/lab-fate.c": ("usr/sbin/lab-fate", ()),
    "src/lab-steps.c": (
        "usr/sbin/lab-steps",
        ("-no-pie", f"-Wl,--section-start=.steps={STEPS_ADDRESS:#x},-z,now"),
    ),
}  # fmt: skip
#: Headers by the name that our programs include, and where they are.
HEADERS = {name: name for name in ("counter.h", "domains.h", "lab.h", "window.h")}
#: What is compiled against Xen's own headers, of the release or the tree that the tools are from.
XEN_HEADERS = HEADERS | {"domains.h": "domains-tree.h"}
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-format-truncation")
OPTIONS = ("-std=c11", "-O2", "-s", *WARNINGS)
LINK_OPTIONS = "-Wl,--as-needed,--build-id=none,--allow-shlib-undefined,-z,max-page-size=4096"
LIBRARIES = (
    "-l:libxenstore.so.4", "-l:libxenforeignmemory.so.1", "-l:libc.so.6", "-lgcc",
)  # fmt: skip
LINK = ("-nodefaultlibs", "-L../lib", LINK_OPTIONS, *LIBRARIES)


#: A kernel module: its name, and its file's bytes.
Driver: TypeAlias = tuple[str, bytes]


@dataclass(frozen=True)
class Choice:
    """Which dom0 it is.

    ``arch``, ``release``: what its packages are for; ``None``: the architecture's default.
    ``tools``: built from a tree; ``None``: the packaged ones. ``drivers``: the modules of a kernel
    that is not packaged, in the order in which they are loaded.
    """

    arch: Architecture = ARM32
    release: Release | None = None
    tools: Tools | None = None
    drivers: Sequence[Driver] | None = None

    @property
    def packaged(self) -> Release:
        """The release of the packages."""
        return self.release or self.arch.releases[0]

    @property
    def against_headers(self) -> bool:
        """Whether our programs need the headers of the packaged libxenctrl. For the first release
        they declare themselves what they call."""
        return self.tools is None and self.packaged != self.arch.releases[0]


@dataclass(frozen=True)
class Source:
    """What the initramfs is built from. ``here``: images/dom0.

    ``packaged_headers``: the folder of Xen's packaged headers, if they are needed.
    """

    packages: Sequence[Package]
    here: Path
    choice: Choice = Choice()
    packaged_headers: Path | None = None

    @property
    def arch(self) -> Architecture:
        return self.choice.arch

    @property
    def tools(self) -> Tools | None:
        return self.choice.tools

    @property
    def headers(self) -> Path | None:
        """The folder of the headers that our programs are compiled against; ``None``: none."""
        return self.tools.entry.path / "include" if self.tools else self.packaged_headers

    @property
    def library(self) -> str:
        """The file name of libxenctrl, which has Xen's version in it."""
        return self.tools.library if self.tools else self.choice.packaged.library


@dataclass(frozen=True)
class Bench:
    """Where dom0's files are worked on: ``folder``, with the toolchain."""

    toolchain: Toolchain
    source: Source
    folder: Path

    def run(self, program: str, *arguments: str, below: str = "") -> None:
        """Run one of the compiler's programs in the folder, or in one below it."""
        argv = [f"{self.source.arch.compiler}{program}", *arguments]
        mounts = [Mount(self.folder, WORK, writable=True)]
        if self.source.headers:
            mounts.append(toolstack.headers(self.source.headers))
        self.toolchain.run(Command(argv, mounts=mounts, cwd=f"{WORK}/{below}".rstrip("/")))

    def write(self, files: dict[str, bytes]) -> None:
        for path, data in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(data)

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        return {path: reading.data(self.folder / path, reading.IMAGE) for path in paths}


def build(bench: Bench) -> None:
    """Compile all of them on the bench, whose folder ``lib`` has the libraries.

    Raises:
        ToolchainError: one does not compile.
    """
    ours = [partial(_compile, bench, *one) for one in _ours(bench.source.library).items()]
    together.all_of(ours, at_once=AT_ONCE)


def built(bench: Bench) -> dict[str, bytes]:
    """What :func:`build` left, by the path in dom0."""
    return bench.read(target for target, _ in _ours(bench.source.library).values())


def _ours(libxenctrl: str) -> dict[str, tuple[str, Sequence[str]]]:
    """Source → path in dom0, additional linker options."""
    library = f"-l:{libxenctrl}"
    plain: Sequence[str] = ()
    found = {source: (target, plain) for source, target in COMPILED.items()}
    return found | {file: (target, (*more, library)) for file, (target, more) in FIXED.items()}


def _compile(bench: Bench, file: str, made: tuple[str, Sequence[str]]) -> None:
    """Compile one program in a folder of its own, in which its file is always called the same."""
    source, here = bench.source, bench.source.here
    target, options = made
    folder = Path(tempfile.mkdtemp(dir=bench.folder, prefix="ours-"))
    for name, header in (XEN_HEADERS if source.headers else HEADERS).items():
        (folder / name).write_bytes(reading.data(here / "src" / header))
    (folder / "ours.c").write_bytes(reading.data(here / file))
    (bench.folder / target).parent.mkdir(parents=True, exist_ok=True)
    include = toolstack.COMPILE if source.headers else ()
    linking = [*LINK, *options, "-o", f"../{target}"]
    bench.run("gcc", *OPTIONS, *include, "ours.c", *linking, below=folder.name)
