"""The device tree that Xen is given: QEMU's own, cut down to what is used.

QEMU describes the machine itself (``dumpdtb``), so that addresses and interrupts are never
guessed. Everything that neither Xen nor dom0 needs is left out: Xen maps and dom0 probes
every device, and both take time in an emulated machine. What dom0 boots is named in
``/chosen`` as Xen's docs/misc/arm/device-tree/booting.txt says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fdt

from lab.errors import ImageError
from lab.images import boot_domains
from lab.images.boot_domains import BootDomain
from lab.model import (
    INITRAMFS_ADDRESS,
    KERNEL_ADDRESS,
    RAM_BASE,
    WINDOW_SIZE,
    Image,
    MachinePlan,
    Mount,
    Toolchain,
    board_arguments,
)
from lab.store import Store
from lab.util import files

#: What stays, by the name of the node without its address; the rest goes.
KEPT = ("psci", "memory", "cpus", "timer", "intc", "pl011", "apb-pclk", "aliases", "chosen")

#: The only virtio transport that stays, ``virtio-mmio-bus.0``: the serial device's.
KEPT_VIRTIO = "virtio_mmio@a000000"

WORK = "/mnt"


def build(
    store: Store,
    toolchain: Toolchain,
    machine: MachinePlan,
    xen_args: str,
    dom0_args: str,
    kernel: Image | None,
    initramfs: Image | None,
    domains: Sequence[BootDomain] = (),
    files_of_domains: Image | None = None,
) -> Image:
    """The packed tree for this machine, with these command lines, booting these files.

    ``kernel`` and ``initramfs`` are dom0's, if there is one. ``domains``: those that Xen creates
    besides, out of ``files_of_domains``.
    """
    booted: dict[str, Any] = {
        "board": list(board_arguments(machine)),
        "xen": xen_args,
        "dom0": dom0_args,
    }
    if kernel and initramfs:
        booted["kernel"] = [KERNEL_ADDRESS, kernel.size, kernel.sha256]
        booted["initramfs"] = [INITRAMFS_ADDRESS, initramfs.size, initramfs.sha256]
    if files_of_domains:
        booted["domains"] = [asdict(domain) for domain in domains]
        booted["files of domains"] = files_of_domains.sha256
    made_by = {"recipe": files.sha256_file(Path(__file__)), "toolchain": toolchain.key}

    def make(folder: Path) -> None:
        tree = _parsed(_dump(toolchain, machine, folder))
        trim(tree)
        reserve(tree, RAM_BASE + machine.memory, WINDOW_SIZE)
        choose(
            tree,
            xen_args,
            dom0_args,
            (KERNEL_ADDRESS, kernel.size) if kernel else None,
            (INITRAMFS_ADDRESS, initramfs.size) if initramfs else None,
            seed=seed_of(booted),
        )
        boot_domains.add(tree, domains, dom0=kernel is not None)
        (folder / "lab.dtb").write_bytes(tree.to_dtb(version=17))

    return store.make("devicetree", made_by | booted, make).image("lab.dtb")


def seed_of(booted: Mapping[str, Any]) -> bytes:
    """The 32 bytes of ``rng-seed``: they follow from what is booted, not from who made the tree.

    So two toolchains whose QEMU describes the machine alike make the same tree.
    """
    return hashlib.sha256(files.canonical_json(dict(booted)).encode()).digest()


def trim(tree: fdt.FDT) -> None:
    """Take out every node that Xen and dom0 do without."""
    for node in list(tree.root.nodes):
        if node.name.partition("@")[0] not in KEPT and node.name != KEPT_VIRTIO:
            tree.root.remove_subnode(node.name)
    for node in tree.root.nodes:
        if node.name.startswith("intc@"):
            for frame in list(node.nodes):
                node.remove_subnode(frame.name)


def reserve(tree: fdt.FDT, address: int, size: int) -> None:
    """Say of the window that it is no ordinary memory.

    Xen takes none of it for guests and gives it to dom0, whose Linux leaves it alone.
    """
    reserved = fdt.Node("reserved-memory")
    reserved.set_property("#address-cells", 2)
    reserved.set_property("#size-cells", 2)
    reserved.append(fdt.PropBytes("ranges"))
    window = fdt.Node("lab-window")  # images/dom0/src/window.h looks for it
    window.set_property("reg", [address >> 32, address & 0xFFFF_FFFF, 0, size])
    window.append(fdt.Property("no-map"))
    reserved.append(window)
    tree.root.append(reserved)


def choose(
    tree: fdt.FDT,
    xen_args: str,
    dom0_args: str,
    kernel: tuple[int, int] | None,
    initramfs: tuple[int, int] | None,
    *,
    seed: bytes,
) -> None:
    """Write ``/chosen``: command lines, where the files lie (address, bytes), the seed.

    dom0's random numbers start from ``seed``. QEMU's own differs at every start; without
    one dom0 waits for entropy.
    """
    chosen = tree.get_node("/chosen")
    for name in ("kaslr-seed", "rng-seed"):
        if chosen.exist_property(name):
            chosen.remove_property(name)
    chosen.set_property("#address-cells", 2)
    chosen.set_property("#size-cells", 2)
    chosen.set_property("xen,xen-bootargs", xen_args)
    words = [int.from_bytes(seed[at : at + 4], "big") for at in range(0, len(seed), 4)]
    chosen.set_property("rng-seed", words)
    if kernel:
        _module(chosen, "multiboot,kernel", kernel).set_property("bootargs", dom0_args)
    if initramfs:
        _module(chosen, "multiboot,ramdisk", initramfs)


def _module(chosen: fdt.Node, kind: str, place: tuple[int, int]) -> fdt.Node:
    address, size = place
    node = fdt.Node(f"module@{address:x}")
    node.set_property("compatible", [kind, "multiboot,module"])
    node.set_property("reg", [address >> 32, address & 0xFFFF_FFFF, size >> 32, size & 0xFFFF_FFFF])
    chosen.append(node)
    return node


def _dump(toolchain: Toolchain, machine: MachinePlan, folder: Path) -> bytes:
    """QEMU's own tree. Two serial ports are asked for, so that it has both PL011."""
    board = list(board_arguments(machine))
    board[board.index("-machine") + 1] += f",dumpdtb={WORK}/virt.dtb"
    argv = ["qemu-system-arm", *board, *_serials()]
    toolchain.run(argv, mounts=[Mount(folder, WORK, writable=True)], timeout=60)
    dumped = folder / "virt.dtb"
    try:
        return dumped.read_bytes()
    finally:
        dumped.unlink(missing_ok=True)


def _serials() -> Sequence[str]:
    return ("-serial", "null", "-serial", "null")


def _parsed(blob: bytes) -> fdt.FDT:
    try:
        return fdt.parse_dtb(blob)
    except Exception as error:
        raise ImageError(f"QEMU's device tree cannot be read: {error}") from error
