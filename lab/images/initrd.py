"""Builds dom0's initramfs: takes files from packages, compiles the lab's own, strips and packs."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from lab.images import contents, elf, lz4, modules, newc, programs
from lab.model import STEPS_ADDRESS, Command, Mount, Package, Toolchain
from lab.packages import deb

#: A kernel module: its name, and its file's bytes.
Driver: TypeAlias = tuple[str, bytes]

PREFIX = "arm-linux-gnueabihf-"
WORK = "/mnt"

#: The packages from which files are taken, in addition to the libraries' packages.
PACKAGES = ("busybox-static", "qemu-guest-agent", "xen-utils-4.17", "xenstore-utils")

#: The lab's own files: path below images/dom0 → path in dom0, permissions.
OWN = {
    "lab-guest": ("usr/sbin/lab-guest", 0o755),
    "xl.conf": ("etc/xen/xl.conf", 0o644),
}

#: The lab's own programs in C: source below images/dom0 → path in dom0. They are linked with the
#: packaged C library. It must have everything that the toolchain's headers declare.
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
#: Own programs with additional linker options. lab-steps is linked to a fixed address, because
#: lab.dom0.steps stops there.
FIXED = {
    "src/lab-fate.c": ("usr/sbin/lab-fate", ("-l:libxenctrl.so.4.17",)),
    "src/lab-steps.c": (
        "usr/sbin/lab-steps",
        ("-no-pie", f"-Wl,--section-start=.steps={STEPS_ADDRESS:#x},-z,now",
         "-l:libxenctrl.so.4.17"),
    ),
}  # fmt: skip
HEADERS = ("counter.h", "domains.h", "lab.h", "window.h")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-format-truncation")
COMPILE = (f"{PREFIX}gcc", "-std=c11", "-O2", "-s", *WARNINGS)
LINK_OPTIONS = "-Wl,--as-needed,--build-id=none,--allow-shlib-undefined,-z,max-page-size=4096"
LIBRARIES = (
    "-l:libxenstore.so.4", "-l:libxenforeignmemory.so.1", "-l:libc.so.6", "-lgcc",
)  # fmt: skip
LINK = ("-nodefaultlibs", "-Llib", LINK_OPTIONS, *LIBRARIES)


def may_hold(package: str) -> bool:
    """Whether files from this package may go into the initramfs."""
    return package in PACKAGES or package.startswith(("lib", "zlib"))


def recipe() -> list[Path]:
    """The lab's modules that decide what is built. The folder images/dom0 decides too."""
    rooms = (contents, deb, elf, lz4, modules, newc, programs)
    return [Path(__file__), *(Path(str(room.__file__)) for room in rooms)]


def build(
    toolchain: Toolchain,
    packages: Sequence[Package],
    here: Path,
    scratch: Path,
    own: Sequence[Driver] | None = None,
) -> bytes:
    """The compressed initramfs. ``here``: images/dom0; ``scratch``: for temporary files.

    ``own``: the modules of another kernel than the packaged one, in the order in which they are
    loaded.
    """
    wanted = contents.parse((here / "contents").read_text())
    tree = deb.tree([package for package in packages if may_hold(package.name)], _may_be_used)
    taken = programs.take(tree, wanted.programs)
    kernels = [package for package in packages if not may_hold(package.name)]
    drivers = _modules(kernels, wanted) if own is None else own
    libraries = programs.libraries(tree, taken, wanted.libraries)
    files = taken | {f"lib/{name}": data for name, data in libraries.items()}
    files |= {f"lib/modules/{name}.ko": data for name, data in drivers}
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        files = _compiled_and_stripped(toolchain, Path(name), files, here)
    order = "".join(f"{name}\n" for name, _ in drivers).encode()
    return lz4.compress(newc.archive([
        *_fixed(wanted),
        *_own(here),
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


def _compiled_and_stripped(
    toolchain: Toolchain, work: Path, files: dict[str, bytes], here: Path
) -> dict[str, bytes]:
    """``files`` and the lab's own programs, without symbols. Works in the empty folder ``work``."""
    for path, data in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(data)
    mounts = [Mount(work, WORK, writable=True)]
    for name in HEADERS:
        (work / name).write_bytes((here / "src" / name).read_bytes())
    plain: Sequence[str] = ()
    ours = {source: (target, plain) for source, target in COMPILED.items()} | FIXED
    for source, (target, options) in ours.items():
        (work / "ours.c").write_bytes((here / source).read_bytes())
        (work / target).parent.mkdir(parents=True, exist_ok=True)
        argv = [*COMPILE, "ours.c", *LINK, *options, "-o", target]
        toolchain.run(Command(argv, mounts=mounts, cwd=WORK))
    strip = [f"{PREFIX}strip", "--enable-deterministic-archives"]
    binaries = [path for path, data in files.items() if elf.is_elf(data)]
    objects = [path for path in binaries if path.endswith(".ko")]
    linked = [path for path in binaries if not path.endswith(".ko")]
    if objects:  # a kernel of the user's own may have all drivers built in
        toolchain.run(Command([*strip, "--strip-debug", *objects], mounts=mounts, cwd=WORK))
    toolchain.run(Command([*strip, "--strip-all", *linked], mounts=mounts, cwd=WORK))
    paths = [*files, *(target for target, _ in ours.values())]
    return {path: (work / path).read_bytes() for path in paths}


def _may_be_used(path: str) -> bool:
    top = path.split("/")[1:3]
    folders = ("bin", "sbin", "lib")
    return top[0] in folders or (top[0] == "usr" and top[1:2] != [] and top[1] in folders)


def _modules(packages: Sequence[Package], wanted: contents.Contents) -> list[Driver]:
    """The wanted kernel modules and those that they need, in the order in which they are loaded.

    The kernel's package holds thousands of modules, so only the named ones are read. If these need
    more modules, the package is read again.
    """
    names = {modules.canonical(name) for name in wanted.modules}
    while True:
        tree = deb.tree(packages, lambda path: path.endswith(".ko") and _module(path) in names)
        found = {_module(path): tree.data(path) for path in tree.paths()}
        more = modules.needed(found) - names
        if not more:
            return modules.ordered(wanted.modules, found.get)
        names.update(more)


def _module(path: str) -> str:
    return modules.canonical(posixpath.basename(path).removesuffix(".ko"))


def _permissions(path: str) -> int:
    return 0o644 if path.endswith(".ko") else 0o755
