"""One line about packages that are not the locked ones, and whether this changed the images."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.api import drift
from lab.model import HypervisorSpec
from lab.packages.lock import Lock

PINS = Lock(images={"dom0/kernel": "1", "guest/hello/kernel": "2", "devicetree/hello": "3"})


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ({"dom0/kernel": "1", "guest/hello/kernel": "2"}, "all 2 are the same"),
        ({"dom0/kernel": "1", "guest/mine/kernel": "9"}, "all 1 are the same"),
        ({"dom0/kernel": "9", "devicetree/hello": "3"}, "these differ: dom0/kernel"),
        ({"guest/mine/kernel": "9"}, "none of the images is in the lock"),
    ],
)
def test_images_are_compared_with_the_lock(images: dict[str, str], words: str) -> None:
    """Only the images that the lock has are compared; others are the user's own."""
    assert drift.beside(PINS, images).endswith(words)


def test_many_images_are_counted() -> None:
    many = Lock(images={f"guest/{name}/kernel": "1" for name in "abcdefgh"})
    words = drift.beside(many, dict.fromkeys(many.images, "2"))
    assert words.endswith("guest/f/kernel and 2 more")


def test_an_initramfs_with_tools_from_a_tree_has_its_hypervisors_name() -> None:
    """Otherwise two hypervisors' initramfs would change one line of the lock in turn."""
    assert drift.initramfs(HypervisorSpec("stock")) == "dom0/initramfs"
    mine = HypervisorSpec("mine", "source", source=Path("/xen"), tools="source")
    assert drift.initramfs(mine) == "initramfs/mine"


def test_dom0_of_another_release_has_names_of_its_own() -> None:
    new = HypervisorSpec("new", release="4.20")
    assert (drift.kernel(new), drift.initramfs(new)) == ("dom0/kernel-4.20", "dom0/initramfs-4.20")
    old = HypervisorSpec("old", release="4.17")
    assert (drift.kernel(old), drift.initramfs(old)) == ("dom0/kernel", "dom0/initramfs")
