"""What dom0 boots: its kernel, already unpacked, and the lab's own initramfs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from lab.errors import ImageError
from lab.images import initrd, recipes, sources, zimage
from lab.images.dom0_programs import Choice, Source
from lab.model import ARM32, Architecture, Command, Image, Mount, Package, Toolchain
from lab.packages import deb
from lab.store import Store
from lab.util import reading

WORK = "/mnt"


def kernel(
    store: Store, toolchain: Toolchain, packages: Sequence[Package], arch: Architecture = ARM32
) -> Image:
    """The packaged kernel, unpacked, after a stub that only moves it to its place.

    That of ARM64 is not packed, and is used as it is packaged.
    A kernel that does not look as expected is used as it is packaged. Then a file ``note``
    beside it says why.
    """
    package = kernel_package(packages, arch)
    stub = recipes.folder("dom0") / "stub.S"
    inputs = {
        "recipe": recipes.hashes(Path(__file__), Path(zimage.__file__), stub),
        "architecture": recipes.facts(arch),
        "package": package.sha256,
        "version": package.version,
        "toolchain": toolchain.key,
    }

    def build(folder: Path) -> None:
        bootable(toolchain, folder, vmlinuz(package), arch)

    return store.make("dom0-kernel", inputs, build).image("kernel")


def bootable(toolchain: Toolchain, folder: Path, given: bytes, arch: Architecture = ARM32) -> None:
    """Write ``kernel`` into a folder, and perhaps ``note``: as :func:`kernel` says."""
    if arch.word == 8 and arch.marks_kernel(given):
        (folder / "kernel").write_bytes(given)
    else:
        unpacked(toolchain, folder, given, arch)


def unpacked(
    toolchain: Toolchain, folder: Path, packaged: bytes, arch: Architecture = ARM32
) -> None:
    """Write ``kernel`` into a folder: the zImage ``packaged``, unpacked, after the stub.

    If it does not look as expected, ``kernel`` is the zImage itself, and ``note`` says why.
    """
    try:
        unwrapped = zimage.unwrap(packaged)
    except ValueError as error:
        (folder / "note").write_text(f"left compressed: {error}\n")
        (folder / "kernel").write_bytes(packaged)
        return
    image = zimage.padded(unwrapped.image)
    stub = recipes.folder("dom0") / "stub.S"
    places = {"TEXT_OFFSET": unwrapped.text_offset, "IMAGE_SIZE": len(image)}
    made = _assembled(toolchain, folder, stub, places, arch.compiler)
    (folder / "kernel").write_bytes(zimage.wrap(made, image))


def packaged_kernel(store: Store, packages: Sequence[Package], arch: Architecture = ARM32) -> Image:
    """The kernel exactly as it is packaged. It boots slowly, and serves for comparison."""
    package = kernel_package(packages, arch)
    inputs = {"package": package.sha256, "version": package.version}

    def build(folder: Path) -> None:
        (folder / "kernel").write_bytes(vmlinuz(package))

    return store.make("dom0-kernel-packaged", inputs, build).image("kernel")


def initramfs(
    store: Store,
    toolchain: Toolchain,
    packages: Sequence[Package],
    choice: Choice | None = None,
) -> Image:
    """The toolstack, the agent and the lab's own programs with what they need, and nothing else.

    ``choice``: which dom0 it is for.

    Raises:
        ImageError: no package has one of the programs, libraries or modules.
    """
    here = recipes.folder("dom0")
    used = [package for package in packages if initrd.may_hold(package.name)]
    choice = choice or Choice()
    if choice.drivers is None:
        used.append(kernel_package(packages, choice.arch))
    inputs: dict[str, Any] = {
        "recipe": recipes.hashes(here, *initrd.recipe()),
        "architecture": recipes.facts(choice.arch),
        "packages": {package.name: package.sha256 for package in used},
        "toolchain": toolchain.key,
    }
    if choice.tools:
        version = f"tools of Xen {choice.tools.version}"
        inputs |= {"tools": choice.tools.entry.key, "version": version}
    else:
        packaged = deb.named(packages, choice.packaged.tools)
        inputs["version"] = f"{packaged.name} {packaged.version}"
    if choice.drivers is not None:
        inputs["modules"] = {name: sha256(data).hexdigest() for name, data in choice.drivers}
        inputs["order"] = [name for name, _ in choice.drivers]

    def build(folder: Path) -> None:
        headers = None
        if choice.against_headers:
            headers = sources.xen_headers(store, toolchain, packages).path / "usr/include"
        made = initrd.build(toolchain, Source(used, here, choice, headers), folder.parent)
        (folder / "initramfs").write_bytes(made)

    return store.make("dom0-initramfs", inputs, build).image("initramfs")


def kernel_package(packages: Sequence[Package], arch: Architecture = ARM32) -> Package:
    """The package that holds dom0's kernel and its modules.

    Raises:
        ImageError: there is no such package, or more than one.
    """
    pattern = re.compile(arch.debian.kernel_pattern)
    found = [package for package in packages if pattern.fullmatch(package.name)]
    if len(found) != 1:
        names = ", ".join(package.name for package in found) or "none"
        raise ImageError(f"exactly one kernel package is needed, but found: {names}")
    return found[0]


def vmlinuz(package: Package) -> bytes:
    """The zImage in a kernel's package. It is near the beginning, so little is read.

    Raises:
        ImageError: the package has no kernel, or cannot be read.
    """
    found = deb.first(package, lambda path: path.startswith("/boot/vmlinuz-"))
    if found is None:
        raise ImageError(f"{package.name} {package.version} has no kernel")
    return found.data


def _assembled(
    toolchain: Toolchain, folder: Path, stub: Path, places: Mapping[str, int], compiler: str
) -> bytes:
    """The stub's bytes. ``places``: what it is told about the kernel, in bytes."""
    source, linked, raw = folder / "stub.S", folder / "stub.elf", folder / "stub.bin"
    source.write_bytes(stub.read_bytes())
    defines = [f"-D{name}={value:#x}" for name, value in places.items()]
    link = ("-nostdlib", "-static", "-Wl,-Ttext=0,--build-id=none")
    mounts = [Mount(folder, WORK, writable=True)]
    compiling = [f"{compiler}gcc", *defines, *link, "stub.S", "-o", "stub.elf"]
    cutting = [f"{compiler}objcopy", "-O", "binary", "-j", ".text", "stub.elf", "stub.bin"]
    for argv in (compiling, cutting):
        toolchain.run(Command(argv, mounts, cwd=WORK))
    made = reading.data(raw, reading.IMAGE)
    for path in (source, linked, raw):
        path.unlink()
    return made
