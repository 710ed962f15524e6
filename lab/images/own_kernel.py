"""A dom0 with a kernel of the user's own: ``dom0: {kernel: FILE, modules: FOLDER}``, or one that
is built from a tree of Linux: ``dom0: {source: TREE, config: FILE}``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.images import contents, dom0, kernel_facts, linux_tree, own_modules, recipes, zimage
from lab.images.dom0_programs import Choice
from lab.images.kernel_facts import KernelFacts
from lab.model import (
    INITRAMFS_ADDRESS,
    KERNEL_ADDRESS,
    Architecture,
    Dom0Spec,
    Image,
    Package,
    Refusal,
    Toolchain,
)
from lab.store import Store
from lab.util import reading, refusals
from lab.util.files import sha256_file
from lab.util.terminal import quote

#: The room for the kernel's file in the machine's memory, in bytes.
ROOM = INITRAMFS_ADDRESS - KERNEL_ADDRESS


def images(
    store: Store,
    toolchain: Toolchain,
    packages: Sequence[Package],
    spec: Dom0Spec,
    choice: Choice,
) -> list[Image]:
    """The kernel of ``spec`` as it boots, and an initramfs with its modules.

    ``choice``: which dom0 it is for.

    Raises:
        ImageError: a tree of Linux does not build.
        ConfigError: the kernel is of another architecture, or dom0 cannot run with it; the message
            names the place in labs.yaml.
    """
    arch = choice.arch
    path = spec.kernel or linux_tree.build(store, toolchain, spec, arch).path
    packed = reading.data(path, reading.IMAGE)
    if not arch.marks_kernel(packed):
        words = f"{quote(path.name)} is no {arch.linux.image} of {arch.xen}"
        raise refused(spec, "kernel", words)
    facts = kernel_facts.read(packed)
    listed = reading.text(recipes.folder("dom0") / "contents")
    wanted = contents.parse(listed, arch, choice.packaged).modules
    try:
        own = own_modules.drivers(wanted, facts, path, spec.modules, arch)
    except own_modules.Lacking as error:
        raise refused(spec, error.key, str(error)) from None
    kernel = _kernel(store, toolchain, path, facts, arch)
    if kernel.size > ROOM:
        size = f"{kernel.size >> 20} MiB"
        raise refused(spec, "kernel", f"the kernel has {size}, and there is room for {ROOM >> 20}")
    return [kernel, dom0.initramfs(store, toolchain, packages, replace(choice, drivers=own))]


def refused(spec: Dom0Spec, key: str, words: str) -> Exception:
    """The error for a key of ``dom0:``, at its place in labs.yaml."""
    if key not in spec.places:
        key = "source" if spec.source else "kernel"
    place = spec.places[key]
    return refusals.refusal([Refusal(place, f"{quote(key)}: {words}")])


def _kernel(
    store: Store, toolchain: Toolchain, path: Path, facts: KernelFacts, arch: Architecture
) -> Image:
    """The kernel, unpacked as the packaged one is: unpacking it in the machine takes seconds."""
    stub = recipes.folder("dom0") / "stub.S"
    inputs = {
        "recipe": recipes.hashes(Path(__file__), Path(str(zimage.__file__)), stub),
        "file": sha256_file(path),
        "release": f"{facts.release or 'unknown'} ({path.name})",
        "toolchain": toolchain.key,
    }

    def build(folder: Path) -> None:
        dom0.bootable(toolchain, folder, reading.data(path, reading.IMAGE), arch)

    return store.make("dom0-kernel", inputs, build).image("kernel")
