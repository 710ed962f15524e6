"""Cutting down and completing QEMU's device tree."""

from __future__ import annotations

from pathlib import Path

import fdt
import pytest

from lab.images import devicetree
from lab.model import Clock, Command, Image, MachinePlan, Toolchain
from lab.store import Store


@pytest.fixture
def tree() -> fdt.FDT:
    """A tree with the shape of QEMU's."""
    tree = fdt.FDT()
    tree.root = fdt.Node("/")
    names = (
        "psci", "memory@40000000", "pcie@10000000", "fw-cfg@9020000", "pl011@9000000",
        "pl011@9040000", "pl061@9030000", "virtio_mmio@a000000", "virtio_mmio@a000200",
        "intc@8000000", "cpus", "timer", "apb-pclk", "aliases", "chosen", "brand-new@1",
    )  # fmt: skip
    for name in names:
        tree.root.append(fdt.Node(name))
    tree.get_node("/intc@8000000").append(fdt.Node("v2m@8020000"))
    chosen = tree.get_node("/chosen")
    chosen.set_property("rng-seed", [1, 2])
    chosen.set_property("kaslr-seed", [3, 4])
    chosen.set_property("stdout-path", "/pl011@9000000")
    return tree


def choose(tree: fdt.FDT) -> fdt.FDT:
    kernel, initramfs = (Image("dom0", Path("x"), "", size, "", {}) for size in (5, 6))
    boot = devicetree.Boot("console=dtuart", "rdinit=/init", kernel, initramfs)
    devicetree.choose(tree, boot, b"\1" * 32)
    return fdt.parse_dtb(tree.to_dtb(version=17))


def test_only_what_is_used_stays(tree: fdt.FDT) -> None:
    """What a later QEMU adds is removed too; the interrupt controller loses its MSI frame."""
    devicetree.trim(tree)
    assert [node.name for node in tree.root.nodes] == [
        "psci", "memory@40000000", "pl011@9000000", "pl011@9040000", "virtio_mmio@a000000",
        "intc@8000000", "cpus", "timer", "apb-pclk", "aliases", "chosen",
    ]  # fmt: skip
    assert tree.get_node("/intc@8000000").nodes == []


def test_what_xen_reads_is_there(tree: fdt.FDT) -> None:
    """Command lines and exact places of both files, as Xen's booting.txt requires."""
    chosen = choose(tree)
    kernel = chosen.get_node("/chosen/module@49000000")
    assert chosen.get_property("xen,xen-bootargs", "/chosen").value == "console=dtuart"
    assert kernel.get_property("bootargs").value == "rdinit=/init"
    assert kernel.get_property("compatible").data == ["multiboot,kernel", "multiboot,module"]
    assert kernel.get_property("reg").data == [0, 0x49000000, 0, 5]
    initramfs = chosen.get_node("/chosen/module@4c000000")
    assert initramfs.get_property("reg").data == [0, 0x4C000000, 0, 6]


def test_the_window_is_kept_out_of_the_memory(tree: fdt.FDT) -> None:
    """Xen must give it only to dom0, and dom0's Linux must not use it."""
    devicetree.reserve(tree, 0x1_2000_0000, 0x10_0000)
    read = fdt.parse_dtb(tree.to_dtb(version=17))
    window = read.get_node("/reserved-memory/lab-window")
    assert window.get_property("reg").data == [1, 0x2000_0000, 0, 0x10_0000]
    assert window.exist_property("no-map")
    assert read.get_node("/reserved-memory").exist_property("ranges")


def test_nothing_random_is_left(tree: fdt.FDT) -> None:
    """QEMU's seeds differ at each start; ours is the given one."""
    chosen = choose(tree).get_node("/chosen")
    assert chosen.get_property("rng-seed").data == [0x01010101] * 8
    assert not chosen.exist_property("kaslr-seed")


class Qemu:
    """A toolchain of some packages whose QEMU describes the machine; its own seed is random."""

    def __init__(self, key: str, tree: fdt.FDT) -> None:
        self.key = key
        self._tree = tree

    def run(self, command: Command) -> None:
        (command.mounts[0].source / "virt.dtb").write_bytes(self._tree.to_dtb(version=17))


def built(store: Path, toolchain: Qemu, kernel: str = "k") -> bytes:
    door: Toolchain = toolchain  # type: ignore[assignment]
    images = [Image("dom0", store, sha, 5, "", {}) for sha in (kernel, "i")]
    machine = MachinePlan(cpus=1, memory=1 << 30, clock=Clock.HOST)
    boot = devicetree.Boot("console=dtuart", "rdinit=/init", images[0], images[1])
    return devicetree.build(Store(store), door, machine, boot).path.read_bytes()


def test_another_toolchain_makes_the_same_tree(tree: fdt.FDT, tmp_path: Path) -> None:
    """Newer packages give another key in the store and the same bytes; another kernel gives
    other bytes."""
    old = built(tmp_path, Qemu("old", tree))
    assert built(tmp_path, Qemu("new", tree)) == old
    assert built(tmp_path, Qemu("new", tree), kernel="other") != old
    assert len(list((tmp_path / "store/devicetree").glob("[0-9a-f]*"))) == 3
