"""Builds dom0's initramfs: takes files from packages, compiles the lab's own, strips and packs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lab.images import (
    contents,
    dom0_programs,
    elf,
    lz4,
    modules,
    newc,
    own_modules,
    programs,
    toolstack,
)
from lab.images.dom0_programs import Bench, Driver, Source
from lab.model import Toolchain
from lab.packages import deb
from lab.util import elf_layout, kconfig, together

#: The packages from which files are taken, in addition to the libraries' packages.
PACKAGES = ("busybox-static", "qemu-guest-agent", "xenstore-utils")
#: Those, by how their names begin. The toolstack's has Xen's release in its name.
BEGINNINGS = ("lib", "zlib", "xen-utils-")

#: The lab's own files: path below images/dom0 → path in dom0, permissions.
OWN = {
    "lab-guest": ("usr/sbin/lab-guest", 0o755),
    "xl.conf": ("etc/xen/xl.conf", 0o644),
}


def may_hold(package: str) -> bool:
    """Whether files from this package may go into the initramfs."""
    return package in PACKAGES or package.startswith(BEGINNINGS)


def recipe() -> list[Path]:
    """The lab's modules that decide what is built. The folder images/dom0 decides too."""
    rooms = (
        contents, deb, dom0_programs, elf, elf_layout, kconfig, lz4, modules, newc, own_modules,
        programs, toolstack,
    )  # fmt: skip
    return [Path(__file__), *(Path(str(room.__file__)) for room in rooms)]


def build(toolchain: Toolchain, source: Source, scratch: Path) -> bytes:
    """The compressed initramfs. ``scratch``: a folder for temporary files."""
    text = (source.here / "contents").read_text()
    wanted = contents.parse(text, source.arch, source.choice.packaged)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        bench = Bench(toolchain, source, Path(name))
        drivers, files = together.pair(
            partial(_drivers, source, wanted), partial(_programs, bench, wanted)
        )
        loaded = {f"lib/modules/{name}.ko": data for name, data in drivers}
        bench.write(loaded)
        files = _stripped(bench, files | loaded) | dom0_programs.built(bench)
    order = "".join(f"{name}\n" for name, _ in drivers).encode()
    return lz4.compress(newc.archive([
        *_fixed(wanted),
        *_own(source.here),
        newc.file("lib/modules/order", order),
        *(newc.file(path, data, _permissions(path)) for path, data in files.items()),
    ]))  # fmt: skip


def _fixed(wanted: contents.Contents) -> list[newc.Item]:
    applets = [newc.link(path, "/bin/busybox") for path in wanted.applets]
    links = [newc.link(path, target) for path, target in wanted.links.items()]
    folders = [newc.folder(path) for path in wanted.folders]
    return [newc.character_device("dev/console", 5, 1), *applets, *links, *folders]


def _own(here: Path) -> list[newc.Item]:
    return [
        newc.file(path, (here / source).read_bytes(), permissions)
        for source, (path, permissions) in OWN.items()
    ]


def _drivers(source: Source, wanted: contents.Contents) -> Sequence[Driver]:
    if source.choice.drivers is not None:
        return source.choice.drivers
    kernels = [package for package in source.packages if not may_hold(package.name)]
    return modules.taken(kernels, own_modules.outside(kernels, wanted.modules))


def _programs(bench: Bench, wanted: contents.Contents) -> dict[str, bytes]:
    """Programs and libraries of packages and tools. The lab's own are compiled with these."""
    tools = bench.source.tools
    held = [package for package in bench.source.packages if may_hold(package.name)]
    tree = deb.tree(toolstack.without(held) if tools else held, _may_be_used)
    if tools:
        wanted = toolstack.lay(tree, wanted, tools, bench.source.choice.packaged.programs)
    taken = programs.take(tree, wanted.programs)
    libraries = programs.libraries(tree, taken, wanted.libraries, bench.source.arch)
    files = taken | {f"lib/{name}": data for name, data in libraries.items()}
    bench.write(files)
    dom0_programs.build(bench)
    return files


def _stripped(bench: Bench, files: dict[str, bytes]) -> dict[str, bytes]:
    """The ``files``, which are in the bench's folder too, without symbols."""
    binaries = [path for path, data in files.items() if elf.is_elf(data)]
    objects = [path for path in binaries if path.endswith(".ko")]
    linked = [path for path in binaries if not path.endswith(".ko")]
    for kind, paths in (("--strip-debug", objects), ("--strip-all", linked)):
        if paths:  # a kernel of the user's own may have all drivers built in
            bench.run("strip", "--enable-deterministic-archives", kind, *paths)
    return bench.read(files)


def _may_be_used(path: str) -> bool:
    top = path.split("/")[1:3]
    folders = ("bin", "sbin", "lib")
    return top[0] in folders or (top[0] == "usr" and top[1:2] != [] and top[1] in folders)


def _permissions(path: str) -> int:
    return 0o644 if path.endswith(".ko") else 0o755
