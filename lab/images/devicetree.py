"""The device tree that Xen gets: QEMU's own tree, reduced to the devices that are used.

QEMU describes the machine itself (``dumpdtb``), so no address or interrupt is guessed. Devices that
neither Xen nor dom0 needs are left out: Xen maps and dom0 probes every device, and both take time
in an emulated machine. ``/chosen`` names what dom0 boots, in the format of Xen's
docs/misc/arm/device-tree/booting.txt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.errors import ImageError
from lab.images import boot_domains, recipes
from lab.images.boot_domains import BootDomain
from lab.images.fdt_package import fdt
from lab.model import (
    INITRAMFS_ADDRESS,
    KERNEL_ADDRESS,
    RAM_BASE,
    WINDOW_SIZE,
    Command,
    Image,
    MachinePlan,
    Mount,
    Toolchain,
    board_arguments,
)
from lab.store import Store
from lab.util import files

#: The nodes that are kept, by name without address. All others are removed.
KEPT = ("psci", "memory", "cpus", "timer", "intc", "pl011", "apb-pclk", "aliases", "chosen")

#: The only virtio transport that is kept, ``virtio-mmio-bus.0``: the serial device uses it.
KEPT_VIRTIO = "virtio_mmio@a000000"

WORK = "/mnt"


@dataclass(frozen=True)
class Boot:
    """What the machine boots.

    Attributes:
        xen_args, dom0_args: the command lines of Xen and of dom0's kernel.
        kernel, initramfs: dom0's; ``None`` if there is no dom0.
        domains: the domains that Xen creates by itself.
        booted: the files of ``domains``, in one.
    """

    xen_args: str
    dom0_args: str
    kernel: Image | None
    initramfs: Image | None
    domains: Sequence[BootDomain] = ()
    booted: Image | None = None

    def parts(self) -> dict[str, Any]:
        """What the tree says of them, for its key and its seed."""
        found: dict[str, Any] = {"xen": self.xen_args, "dom0": self.dom0_args}
        if self.kernel and self.initramfs:
            found["kernel"] = [KERNEL_ADDRESS, self.kernel.size, self.kernel.sha256]
            found["initramfs"] = [INITRAMFS_ADDRESS, self.initramfs.size, self.initramfs.sha256]
        if self.booted:
            found["domains"] = [asdict(domain) for domain in self.domains]
            found["files of domains"] = self.booted.sha256
        return found


def build(store: Store, toolchain: Toolchain, machine: MachinePlan, boot: Boot) -> Image:
    """The packed device tree of a machine that boots ``boot``.

    Raises:
        ImageError: QEMU's tree cannot be read.
    """
    booted = {"board": list(board_arguments(machine)), **boot.parts()}
    made_by = {
        "recipe": files.sha256_file(Path(__file__)),
        "architecture": recipes.facts(machine.arch),
        "toolchain": toolchain.key,
    }

    def make(folder: Path) -> None:
        tree = _parsed(_dump(toolchain, machine, folder))
        trim(tree)
        reserve(tree, RAM_BASE + machine.memory, WINDOW_SIZE)
        choose(tree, boot, seed_of(booted))
        boot_domains.add(tree, boot.domains, dom0=boot.kernel is not None)
        (folder / "lab.dtb").write_bytes(tree.to_dtb(version=17))

    return store.make("devicetree", made_by | booted, make).image("lab.dtb")


def seed_of(booted: Mapping[str, Any]) -> bytes:
    """The 32 bytes of ``rng-seed``: they depend only on what is booted, not on the toolchain.

    So two toolchains whose QEMU describes the machine in the same way make the same tree.
    """
    return hashlib.sha256(files.canonical_json(dict(booted)).encode()).digest()


def trim(tree: fdt.FDT) -> None:
    """Remove every node that neither Xen nor dom0 needs."""
    for node in list(tree.root.nodes):
        if node.name.partition("@")[0] not in KEPT and node.name != KEPT_VIRTIO:
            tree.root.remove_subnode(node.name)
    for node in tree.root.nodes:
        if node.name.startswith("intc@"):
            for frame in list(node.nodes):
                node.remove_subnode(frame.name)


def reserve(tree: fdt.FDT, address: int, size: int) -> None:
    """Mark the window (``size`` bytes at ``address``) as reserved, not ordinary memory.

    Xen gives none of it to guests. It maps the window into dom0, where Linux leaves it alone.
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


def choose(tree: fdt.FDT, boot: Boot, seed: bytes) -> None:
    """Write ``/chosen``: the command lines, the files' addresses and sizes, and the seed.

    dom0's random numbers start from ``seed``. QEMU's own seed differs at every start. Without a
    seed dom0 waits for entropy.
    """
    chosen = tree.get_node("/chosen")
    for name in ("kaslr-seed", "rng-seed"):
        if chosen.exist_property(name):
            chosen.remove_property(name)
    chosen.set_property("#address-cells", 2)
    chosen.set_property("#size-cells", 2)
    chosen.set_property("xen,xen-bootargs", boot.xen_args)
    words = [int.from_bytes(seed[at : at + 4], "big") for at in range(0, len(seed), 4)]
    chosen.set_property("rng-seed", words)
    if boot.kernel:
        kernel = _module(chosen, "multiboot,kernel", (KERNEL_ADDRESS, boot.kernel.size))
        kernel.set_property("bootargs", boot.dom0_args)
    if boot.initramfs:
        _module(chosen, "multiboot,ramdisk", (INITRAMFS_ADDRESS, boot.initramfs.size))


def _module(chosen: fdt.Node, kind: str, place: tuple[int, int]) -> fdt.Node:
    address, size = place
    node = fdt.Node(f"module@{address:x}")
    node.set_property("compatible", [kind, "multiboot,module"])
    node.set_property("reg", [address >> 32, address & 0xFFFF_FFFF, size >> 32, size & 0xFFFF_FFFF])
    chosen.append(node)
    return node


def _dump(toolchain: Toolchain, machine: MachinePlan, folder: Path) -> bytes:
    """QEMU's own tree. QEMU is given two serial ports, so that the tree has both PL011."""
    board = list(board_arguments(machine))
    board[board.index("-machine") + 1] += f",dumpdtb={WORK}/virt.dtb"
    argv = [machine.arch.qemu, *board, *_serials()]
    toolchain.run(Command(argv, mounts=[Mount(folder, WORK, writable=True)], timeout=60))
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
