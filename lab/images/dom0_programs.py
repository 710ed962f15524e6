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
from lab.model import ARM32, STEPS_ADDRESS, Architecture, Command, Mount, Package, Toolchain
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
#: That library, whose name has Xen's version in it.
PACKAGED_LIBRARY = "libxenctrl.so.4.17"
#: Headers by the name that our programs include, and where they are.
HEADERS = {name: name for name in ("counter.h", "domains.h", "lab.h", "window.h")}
#: With tools from a tree: what is compiled against the tree's own headers.
TREE_HEADERS = HEADERS | {"domains.h": "domains-tree.h"}
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
    """What of dom0 is not packaged.

    ``tools``: built from a tree. ``drivers``: the modules of another kernel, in the order in which
    they are loaded.
    """

    tools: Tools | None = None
    drivers: Sequence[Driver] | None = None


@dataclass(frozen=True)
class Source:
    """What the initramfs is built from. ``here``: images/dom0."""

    packages: Sequence[Package]
    here: Path
    arch: Architecture = ARM32
    choice: Choice = Choice()

    @property
    def tools(self) -> Tools | None:
        return self.choice.tools


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
        if self.source.tools:
            mounts.append(toolstack.headers(self.source.tools))
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
    ours = [partial(_compile, bench, *one) for one in _ours(bench.source.tools).items()]
    together.all_of(ours, at_once=AT_ONCE)


def built(bench: Bench) -> dict[str, bytes]:
    """What :func:`build` left, by the path in dom0."""
    return bench.read(target for target, _ in _ours(bench.source.tools).values())


def _ours(tools: Tools | None) -> dict[str, tuple[str, Sequence[str]]]:
    """Source → path in dom0, additional linker options."""
    library = f"-l:{tools.library if tools else PACKAGED_LIBRARY}"
    plain: Sequence[str] = ()
    found = {source: (target, plain) for source, target in COMPILED.items()}
    return found | {file: (target, (*more, library)) for file, (target, more) in FIXED.items()}


def _compile(bench: Bench, file: str, made: tuple[str, Sequence[str]]) -> None:
    """Compile one program in a folder of its own, in which its file is always called the same."""
    here, tools = bench.source.here, bench.source.tools
    target, options = made
    folder = Path(tempfile.mkdtemp(dir=bench.folder, prefix="ours-"))
    for name, header in (TREE_HEADERS if tools else HEADERS).items():
        (folder / name).write_bytes(reading.data(here / "src" / header))
    (folder / "ours.c").write_bytes(reading.data(here / file))
    (bench.folder / target).parent.mkdir(parents=True, exist_ok=True)
    include = toolstack.COMPILE if tools else ()
    linking = [*LINK, *options, "-o", f"../{target}"]
    bench.run("gcc", *OPTIONS, *include, "ours.c", *linking, below=folder.name)
