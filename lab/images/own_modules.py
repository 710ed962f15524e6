"""The drivers that dom0 needs: built into the user's own kernel, or modules in a folder.

Everything is checked by name before the boot: a dom0 without one of them would stop in its first
second, with a message about a device or a file.
"""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import ImageError
from lab.images import elf, modules
from lab.images.dom0_programs import Driver
from lab.images.kernel_facts import KernelFacts
from lab.model import ARM32, Architecture, Package
from lab.packages import deb
from lab.util import kconfig, reading

#: Module → the option that builds it (drivers/virtio, drivers/char, drivers/xen of Linux).
OPTIONS = {
    "virtio_mmio": "CONFIG_VIRTIO_MMIO",
    "virtio_console": "CONFIG_VIRTIO_CONSOLE",
    "xen_evtchn": "CONFIG_XEN_DEV_EVTCHN",
    "xen_gntdev": "CONFIG_XEN_GNTDEV",
    "xen_gntalloc": "CONFIG_XEN_GRANT_DEV_ALLOC",
    "xen_privcmd": "CONFIG_XEN_PRIVCMD",
    "xenfs": "CONFIG_XENFS",
}
#: Options without which dom0's first process does not start, has no console, or no Xen, on every
#: architecture.
_NEEDED = (
    "XEN", "BLK_DEV_INITRD", "RD_LZ4", "DEVTMPFS", "DEVMEM", "TMPFS", "FUTEX", "EPOLL",
    "UNIX98_PTYS", "UNIX", "BINFMT_SCRIPT", "SERIAL_AMBA_PL011_CONSOLE",
)  # fmt: skip
_ENDINGS = (".ko", ".ko.xz", ".ko.gz", ".ko.zst")
_BUILTIN = "modules.builtin"


class Lacking(Exception):
    """dom0 cannot run with a kernel. ``key``: the key of ``dom0:`` that it is about."""

    def __init__(self, key: str, words: str) -> None:
        super().__init__(words)
        self.key = key


@dataclass(frozen=True)
class _Known:
    """What is known about a kernel's drivers. ``files``: module → its file."""

    facts: KernelFacts
    builtin: frozenset[str] = frozenset()
    config: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    folder: Path | None = None

    def has_inside(self, module: str) -> bool:
        return module in self.builtin or self.config.get(OPTIONS.get(module, "")) == "y"


def needed(arch: Architecture = ARM32) -> tuple[str, ...]:
    """The options that dom0 needs, without those of :data:`OPTIONS`."""
    return tuple(f"CONFIG_{name}" for name in (*_NEEDED, *arch.linux.needed))


def outside(kernels: Sequence[Package], wanted: Iterable[str]) -> list[str]:
    """Those of the modules ``wanted`` that packaged kernels do not have built in.

    Raises:
        ImageError: a package cannot be read.
    """
    config: dict[str, str] = {}
    for kernel in kernels:
        if member := deb.first(kernel, lambda path: path.startswith("/boot/config-")):
            config |= kconfig.parse(member.data.decode(errors="replace"))
    known = _Known(KernelFacts(), config=config)
    return [name for name in wanted if not known.has_inside(modules.canonical(name))]


def drivers(
    wanted: Iterable[str],
    facts: KernelFacts,
    kernel: Path,
    folder: Path | None,
    arch: Architecture = ARM32,
) -> list[Driver]:
    """The modules to load, in this order, of those that are not built in.

    ``kernel``: the kernel's file; its configuration may lie beside it. ``folder``: of its modules.

    Raises:
        Lacking: a driver is neither built in nor in the folder, a module is one for another
            kernel, or the kernel lacks an option that dom0 needs.
    """
    known = _known(facts, kernel, folder)
    off = [name for name in needed(arch) if known.config and known.config.get(name) != "y"]
    if off:
        raise Lacking("kernel", f"dom0 cannot run with this kernel: it lacks {', '.join(off)}")
    outside = [name for name in map(modules.canonical, wanted) if not known.has_inside(name)]
    missing = [name for name in outside if name not in known.files]
    if missing:
        raise Lacking("modules" if folder else "kernel", _missing(known, missing))
    try:
        found = modules.ordered(outside, lambda name: _find(known, name), f"the folder {folder}")
    except ImageError as error:
        raise Lacking("modules", error.message) from None
    _check_vermagic(known, found)
    return found


def _known(facts: KernelFacts, kernel: Path, folder: Path | None) -> _Known:
    top = _top(folder, facts.release) if folder else None
    beside = [kernel.parent / name for name in (f"config-{facts.release}", ".config", "config")]
    beside += [top / name for name in (".config", "config")] if top else []
    config = facts.config or next((_parsed(path) for path in beside if path.is_file()), {})
    builtin = frozenset(_builtin(top / _BUILTIN)) if top else frozenset[str]()
    return _Known(facts, builtin, config, _files(top) if top else {}, top)


def _top(folder: Path, release: str) -> Path:
    """The folder of one kernel's modules: itself, or the one below it (``lib/modules/RELEASE``)."""
    if (folder / _BUILTIN).is_file():
        return folder
    for parent in (folder, folder / "lib/modules", folder / "usr/lib/modules"):
        if release and (parent / release).is_dir():
            return parent / release
    below = [path.parent for path in sorted(folder.glob(f"*/{_BUILTIN}"))]
    below += [path.parent for path in sorted(folder.glob(f"lib/modules/*/{_BUILTIN}"))]
    return below[0] if len(below) == 1 else folder


def _builtin(path: Path) -> Iterable[str]:
    """The names in ``modules.builtin``: one path for each (Documentation/kbuild/kbuild.rst)."""
    if not path.is_file():
        return []
    lines = reading.text(path, errors="replace").splitlines()
    return [_name(line.rpartition("/")[2]) for line in lines if line]


def _parsed(path: Path) -> dict[str, str]:
    return kconfig.parse(reading.text(path, errors="replace"))


def _files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for parent, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            if name.endswith(_ENDINGS):
                found.setdefault(_name(name), Path(parent, name))
    return found


def _name(file: str) -> str:
    return modules.canonical(file.partition(".ko")[0])


def _find(known: _Known, name: str) -> bytes | None:
    path = known.files.get(name)
    if path is None:
        return None
    data = reading.data(path, reading.IMAGE)
    try:
        if path.suffix == ".xz":
            return lzma.decompress(data)
        if path.suffix == ".gz":
            return gzip.decompress(data)
    except (lzma.LZMAError, zlib.error, OSError, EOFError) as error:
        raise Lacking("modules", f"module {path.name} is damaged: {error}") from None
    if path.suffix == ".zst":
        raise Lacking("modules", f"module {path.name} is packed with zstd; unpack it (unzstd)")
    return data


def _missing(known: _Known, missing: list[str]) -> str:
    names = ", ".join(missing)
    which = f"kernel {known.facts.release}" if known.facts.release else "the kernel"
    if known.folder:
        return f"{which}: not built in and not in {known.folder}: {names}"
    if not known.config:
        return (
            f"{which}: it is not known whether it has these drivers built in: {names}; "
            "give 'modules: FOLDER', or its configuration as .config beside it"
        )
    return f"{which} has these drivers not built in: {names}; give 'modules: FOLDER'"


def _check_vermagic(known: _Known, found: Iterable[Driver]) -> None:
    """All modules must be for this kernel: it would refuse others (check_modinfo of Linux)."""
    wanted = known.facts.vermagic
    for name, data in found:
        has = elf.modinfo(data).get("vermagic", "").strip()
        wanted = wanted or has
        if has != wanted:
            words = f"module {name} is for a kernel '{has}', and this one is '{wanted}'"
            raise Lacking("modules", words)
