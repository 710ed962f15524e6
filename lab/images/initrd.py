"""Builds dom0's initramfs: takes files from packages, compiles the lab's own, strips and packs."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.images import contents, elf, lz4, modules, newc, programs
from lab.model import ARM32, STEPS_ADDRESS, Architecture, Command, Mount, Package, Toolchain
from lab.packages import deb
from lab.util import elf_layout, together

WORK = "/mnt"
#: How many of the lab's own programs are compiled at a time.
AT_ONCE = 2

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
OPTIONS = ("-std=c11", "-O2", "-s", *WARNINGS)
LINK_OPTIONS = "-Wl,--as-needed,--build-id=none,--allow-shlib-undefined,-z,max-page-size=4096"
LIBRARIES = (
    "-l:libxenstore.so.4", "-l:libxenforeignmemory.so.1", "-l:libc.so.6", "-lgcc",
)  # fmt: skip
LINK = ("-nodefaultlibs", "-L../lib", LINK_OPTIONS, *LIBRARIES)


def may_hold(package: str) -> bool:
    """Whether files from this package may go into the initramfs."""
    return package in PACKAGES or package.startswith(("lib", "zlib"))


def recipe() -> list[Path]:
    """The lab's modules that decide what is built. The folder images/dom0 decides too."""
    rooms = (contents, deb, elf, elf_layout, lz4, modules, newc, programs)
    return [Path(__file__), *(Path(str(room.__file__)) for room in rooms)]


@dataclass(frozen=True)
class _Bench:
    """Where dom0's files are worked on: ``folder``, with the toolchain. ``here``: images/dom0."""

    toolchain: Toolchain
    arch: Architecture
    here: Path
    folder: Path

    def run(self, program: str, *arguments: str, below: str = "") -> None:
        """Run one of the compiler's programs in the folder, or in one below it."""
        argv = [f"{self.arch.compiler}{program}", *arguments]
        mounts = [Mount(self.folder, WORK, writable=True)]
        self.toolchain.run(Command(argv, mounts=mounts, cwd=f"{WORK}/{below}".rstrip("/")))

    def write(self, files: dict[str, bytes]) -> None:
        for path, data in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(data)

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        return {path: (self.folder / path).read_bytes() for path in paths}


def build(
    toolchain: Toolchain,
    packages: Sequence[Package],
    here: Path,
    scratch: Path,
    arch: Architecture = ARM32,
) -> bytes:
    """The compressed initramfs. ``here``: images/dom0; ``scratch``: for temporary files."""
    wanted = contents.parse((here / "contents").read_text())
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        bench = _Bench(toolchain, arch, here, Path(name))
        drivers, files = together.pair(
            partial(_modules, [one for one in packages if not may_hold(one.name)], wanted),
            partial(_programs, bench, [one for one in packages if may_hold(one.name)], wanted),
        )
        loaded = {f"lib/modules/{name}.ko": data for name, data in drivers}
        bench.write(loaded)
        ours = [target for target, _ in _ours().values()]
        files = _stripped(bench, files | loaded) | bench.read(ours)
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


def _programs(
    bench: _Bench, packages: Sequence[Package], wanted: contents.Contents
) -> dict[str, bytes]:
    """The packaged programs and their libraries. The lab's own programs are compiled with these."""
    tree = deb.tree(packages, _may_be_used)
    taken = programs.take(tree, wanted.programs)
    libraries = programs.libraries(tree, taken, wanted.libraries, bench.arch)
    files = taken | {f"lib/{name}": data for name, data in libraries.items()}
    bench.write(files)
    ours = [partial(_compile, bench, source, *rest) for source, rest in _ours().items()]
    together.all_of(ours, at_once=AT_ONCE)
    return files


def _ours() -> dict[str, tuple[str, Sequence[str]]]:
    """The lab's own programs: source → path in dom0, additional linker options."""
    plain: Sequence[str] = ()
    return {source: (target, plain) for source, target in COMPILED.items()} | FIXED


def _compile(bench: _Bench, source: str, target: str, options: Sequence[str]) -> None:
    """Compile one program in a folder of its own, in which its file is always called the same."""
    folder = Path(tempfile.mkdtemp(dir=bench.folder, prefix="ours-"))
    for name in HEADERS:
        (folder / name).write_bytes((bench.here / "src" / name).read_bytes())
    (folder / "ours.c").write_bytes((bench.here / source).read_bytes())
    (bench.folder / target).parent.mkdir(parents=True, exist_ok=True)
    linking = [*LINK, *options, "-o", f"../{target}"]
    bench.run("gcc", *OPTIONS, "ours.c", *linking, below=folder.name)


def _stripped(bench: _Bench, files: dict[str, bytes]) -> dict[str, bytes]:
    """The ``files``, which are in the bench's folder too, without symbols."""
    binaries = [path for path, data in files.items() if elf.is_elf(data)]
    objects = [path for path in binaries if path.endswith(".ko")]
    linked = [path for path in binaries if not path.endswith(".ko")]
    for kind, paths in (("--strip-debug", objects), ("--strip-all", linked)):
        bench.run("strip", "--enable-deterministic-archives", kind, *paths)
    return bench.read(files)


def _may_be_used(path: str) -> bool:
    top = path.split("/")[1:3]
    folders = ("bin", "sbin", "lib")
    return top[0] in folders or (top[0] == "usr" and top[1:2] != [] and top[1] in folders)


def _modules(packages: Sequence[Package], wanted: contents.Contents) -> list[tuple[str, bytes]]:
    """The wanted kernel modules and those that they need, in the order in which they are loaded.

    The kernel's package holds thousands of modules, so only the named ones are read, and reading
    stops at the last of them. If these need more modules, the package is read again.
    """
    names = {modules.canonical(name) for name in wanted.modules}
    while True:
        found = _found(packages, names)
        more = modules.needed(found) - names
        if not more:
            return modules.ordered(wanted.modules, found.get)
        names.update(more)


def _found(packages: Sequence[Package], names: set[str]) -> dict[str, bytes]:
    """Those of the modules ``names`` that the packages have."""
    found: dict[str, bytes] = {}
    for member in deb.members(
        packages, lambda path: path.endswith(".ko") and _module(path) in names
    ):
        found[_module(member.path)] = member.data
        if found.keys() == names:
            break
    return found


def _module(path: str) -> str:
    return modules.canonical(posixpath.basename(path).removesuffix(".ko"))


def _permissions(path: str) -> int:
    return 0o644 if path.endswith(".ko") else 0o755
