"""Which memory sizes fit into a machine. The figures were measured with Xen 4.17."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import config
from lab.config import fit
from lab.errors import ConfigError
from lab.model import GuestSpec, HypervisorSpec, Lab, Prebuilt

MIB = 1 << 20


def lab(memory: int, *guests: int) -> Lab:
    kernel = Prebuilt(Path("/g.bin"))
    specs = (GuestSpec(f"g{n}", kernel, one * MIB) for n, one in enumerate(guests))
    return Lab("one", HypervisorSpec("stock"), memory=memory * MIB, guests=tuple(specs))


@pytest.mark.parametrize(
    ("memory", "guests", "free"),
    [
        (1024, [], 693), (1024, [512, 16], 159), (2112, [], 1741), (2112, [1024, 512, 16], 178),
        (3056, [], 2679), (3056, [1024, 512, 16], 1116),
    ],
)  # fmt: skip
def test_free_memory_is_not_less_than_reckoned(memory: int, guests: list[int], free: int) -> None:
    """``xl info`` said ``free`` MiB, with a dom0 of 256M. The margin is small."""
    reckoned = memory - 256 - sum(guests) - fit.of_xen(lab(memory, *guests)) // MIB
    assert reckoned <= free <= reckoned + 8


@pytest.mark.parametrize(
    ("memory", "most"), [(448, 128), (512, 128), (640, 256), (1024, 640), (2048, 1664)]
)
def test_most_that_xen_gives_dom0(memory: int, most: int) -> None:
    """Xen booted with these, if they are not more than 1536M, and panicked with 128M more."""
    assert fit.most_dom0(memory * MIB) == most * MIB


REFUSED = {
    "more than Xen finds": (
        "{memory: 512M, dom0: {memory: 256M}}",
        "2:38: 'memory': of the 512M of lab 'one' Xen can give dom0 at most 128M",
    ),
    "dom0's default": ("{memory: 512M}", "of the 512M of lab 'one' Xen can give dom0 at most 128M"),
    "no whole block": (
        "{dom0: {memory: 192M}}",
        "2:24: 'memory': Xen gives dom0 a multiple of 128M, not 192M",
    ),
    "too little": ("{dom0: {memory: 64M}}", "'memory': dom0 needs at least 128M"),
    "no block": ("{memory: 384M, dom0: {memory: 128M}}", "must be from 448M to 3056M"),
    "guests and what Xen needs for them": (
        "{memory: 2112M, guests: [a, b]}",
        "4:30: lab 'one' has 2112M, but needs 2175M: dom0 256M + a 1G + b 768M + Xen 127M",
    ),
}


def load(folder: Path, text: str) -> Lab:
    guests = "  a: {freertos: app, memory: 1024M}\n  b: {freertos: app, memory: 768M}\n"
    (folder / "app").mkdir()
    (folder / "labs.yaml").write_text(f"labs:\n  one: {text}\nguests:\n{guests}")
    return config.load(folder / "labs.yaml").labs["one"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_xen_cannot_place_is_refused(tmp_path: Path, name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in caught.value.message


def test_what_it_can_is_not(tmp_path: Path) -> None:
    assert load(tmp_path, "{memory: 2176M, guests: [a, b]}").guests
