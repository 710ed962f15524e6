"""Guests that Xen boots: their nodes in the device tree, their files, and whether they fit."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import fdt
import pytest
from kernel_files import image, zimage

from lab.errors import ConfigError
from lab.images import boot_domains
from lab.images.boot_domains import BootDomain
from lab.model import (
    BOOTED_ADDRESS,
    Channel,
    FreeRtosApp,
    GuestImage,
    GuestPlan,
    GuestSpec,
    HypervisorSpec,
    Image,
    Lab,
    Place,
    Plan,
    SharedMemory,
)
from lab.plan import plan as plan_of
from lab.store import Store

MIB = 1 << 20


def tree_of(*domains: BootDomain, dom0: bool) -> fdt.FDT:
    tree = fdt.FDT()
    tree.root.append(fdt.Node("chosen"))
    boot_domains.add(tree, domains, dom0=dom0)
    return fdt.parse_dtb(tree.to_dtb(version=17))


def test_a_domain_is_described_as_xen_reads_it() -> None:
    tree = tree_of(BootDomain("a", 16 * MIB, 2, (0x4D000000, 70000), cmdline="x=1"), dom0=True)
    node = tree.get_node("/chosen/domU1")
    assert node.get_property("compatible").value == "xen,domain"
    assert list(node.get_property("memory").data) == [0, 16 << 10]
    assert node.get_property("cpus").value == 2
    assert node.exist_property("vpl011")
    module = tree.get_node("/chosen/domU1/module@4d000000")
    assert list(module.get_property("compatible").data) == ["multiboot,kernel", "multiboot,module"]
    assert list(module.get_property("reg").data) == [0, 0x4D000000, 0, 70000]
    assert module.get_property("bootargs").value == "x=1"


@pytest.mark.parametrize(("dom0", "word"), [(True, "enabled"), (False, "no-xenstore")])
def test_xenstore_is_there_only_with_dom0(dom0: bool, word: str) -> None:
    """Xen panics if it is asked for it without."""
    tree = tree_of(BootDomain("a", MIB, 1, (0x4D000000, 1)), dom0=dom0)
    assert tree.get_node("/chosen/domU1").get_property("xen,enhanced").value == word


def guest(folder: Path, name: str, memory: int, data: bytes) -> tuple[GuestPlan, GuestImage]:
    file = folder / name
    file.write_bytes(data)
    kernel = Image("kernel", file, f"sha of {name}", len(data), name)
    spec = GuestSpec(
        name, FreeRtosApp(folder), memory=memory, by_xen=True,
        places={"memory": Place(folder / "labs.yaml", 7, 3)},
    )  # fmt: skip
    return GuestPlan(name, spec, ""), GuestImage(name, kernel)


def lab_of(*guests: GuestPlan, **more: Any) -> Plan:
    """A plan of a lab with these guests."""
    lab = Lab("l", HypervisorSpec("stock"), guests=tuple(one.spec for one in guests), **more)
    return replace(plan_of(lab), guests=guests)


def test_files_lie_one_after_another(tmp_path: Path) -> None:
    found = [guest(tmp_path, name, 16 * MIB, zimage(size)) for name, size in
             (("a", 1000), ("b", 3 * MIB))]  # fmt: skip
    images = {plan.name: image for plan, image in found}
    plans = lab_of(*(plan for plan, _ in found))
    booted, domains = boot_domains.build(Store(tmp_path / "store"), plans, images)
    assert [one.kernel[0] - BOOTED_ADDRESS for one in domains] == [0, 2 * MIB]
    assert booted.size == 6 * MIB
    b = found[1][1].kernel
    assert booted.path.read_bytes()[2 * MIB : 2 * MIB + b.size] == b.path.read_bytes()


@pytest.mark.parametrize(("memory", "fits"), [(3, False), (4, False), (5, True), (16, True)])
def test_a_bank_that_is_too_small_is_refused_at_its_place(
    tmp_path: Path, memory: int, fits: bool
) -> None:
    """Xen would panic (as tried with Xen 4.17: 4M are too little, 6M suffice)."""
    plan, made = guest(tmp_path, "a", memory * MIB, zimage(1000))
    store = Store(tmp_path / "store")
    if fits:
        boot_domains.build(store, lab_of(plan), {"a": made})
        return
    with pytest.raises(ConfigError, match=r"labs\.yaml:7:3: 'memory': . is too little|M is too"):
        boot_domains.build(store, lab_of(plan), {"a": made})


@pytest.mark.parametrize(
    ("memory", "uses", "words"),
    [
        (4, 0, r":7:3: 'memory': 4M is .* in pieces of 2M; that takes 5M"),
        (5, 0, ""),
        (8, 7, r"has 7M with variables and heap, and Xen places the device tree at 6M; 10M would"),
        (10, 7, ""),
    ],
)
def test_an_image_lies_below_its_device_tree(
    tmp_path: Path, memory: int, uses: int, words: str
) -> None:
    """Xen places it at the start of memory, and does not know how much it uses."""
    plan, made = guest(tmp_path, "a", memory * MIB, image(1000, uses=uses * MIB))
    with pytest.raises(ConfigError, match=words) if words else nullcontext():
        boot_domains.build(Store(tmp_path / "store"), lab_of(plan), {"a": made})


def test_the_ends_of_a_channel_name_each_other(tmp_path: Path) -> None:
    """As Xen's booting.txt asks: each end has its port and the phandle of the other one."""
    found = [guest(tmp_path, name, 16 * MIB, zimage(1000)) for name in "abc"]
    channels = (Channel(10, ("a", "b")), Channel(11, ("c", "a")))
    plans = lab_of(*(plan for plan, _ in found), channels=channels)
    images = {plan.name: image for plan, image in found}
    tree = tree_of(*boot_domains.build(Store(tmp_path / "store"), plans, images)[1], dom0=False)
    ends = {}
    for number in (1, 2, 3):
        for node in tree.get_node(f"/chosen/domU{number}").nodes:
            if node.name.startswith("evtchn@"):
                assert node.get_property("compatible").value == "xen,evtchn-v1"
                port, other = node.get_property("xen,evtchn").data
                ends[node.get_property("phandle").value] = (number, port, other)
    assert len(ends) == 4
    assert all(ends[other][2] == own for own, (_, _, other) in ends.items())
    connected = {frozenset((one, ends[other][0])) for one, _, other in ends.values()}
    assert connected == {frozenset((1, 2)), frozenset((1, 3))}
    assert sorted(port for _, port, _ in ends.values()) == [10, 10, 11, 11]


def test_shared_memory_is_at_the_same_address_for_all(tmp_path: Path) -> None:
    found = [guest(tmp_path, name, 16 * MIB, zimage(1000)) for name in "ab"]
    shared = (SharedMemory("box", 0x70000000, 2 * MIB, ("a", "b")),)
    plans = lab_of(*(plan for plan, _ in found), shared_memory=shared)
    images = {plan.name: image for plan, image in found}
    tree = tree_of(*boot_domains.build(Store(tmp_path / "store"), plans, images)[1], dom0=False)
    for number in (1, 2):
        node = tree.get_node(f"/chosen/domU{number}/shared@70000000")
        assert node.get_property("compatible").value == "xen,domain-shared-memory-v1"
        assert node.get_property("xen,shm-id").value == "box"
        words = list(node.get_property("xen,shared-mem").data)
        assert words == [0, 0x70000000, 0, 0x70000000, 0, 2 * MIB]
