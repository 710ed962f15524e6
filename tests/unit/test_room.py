"""Whether dom0 can hold the guests' files. The error comes before anything is booted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.model import Dom0Spec, GuestImage, GuestSpec, HypervisorSpec, Image, Lab, Prebuilt
from lab.run import guests

MIB = 1 << 20


def image(name: str, kernel: int, ramdisk: int = 0) -> GuestImage:
    """A guest whose files have this many MiB."""
    parts = [Image(name, Path("/k"), "", size * MIB, "") for size in (kernel, ramdisk)]
    return GuestImage(name, parts[0], ramdisk=parts[1] if ramdisk else None)


def with_disk(data: int) -> GuestImage:
    """A small guest with a disk, so many MiB of which are data."""
    disk = Image("disk", Path("/d"), "", 9000 * MIB, "", {"data": data * MIB})
    return replace(image("disk", 1), disks={"xvda": disk})


def check(memory: int, *images: GuestImage) -> None:
    lab = Lab("one", HypervisorSpec("stock"), dom0=Dom0Spec(memory * MIB), line=7)
    guests.check_room(Path("/my/labs.yaml"), lab, {one.name: one for one in images})


@pytest.mark.parametrize(
    ("memory", "images"),
    [
        (256, []),
        (128, [image("small", 1)]),
        (256, [image("large", 60, 20)]),  # one of 80 was tried, and one of 90 was not created
        (256, [image("one", 50), image("two", 50)]),
        (384, [image("largest", 105)]),
        (256, [with_disk(90)]),
    ],
)
def test_it_can(memory: int, images: list[GuestImage]) -> None:
    check(memory, *images)


@pytest.mark.parametrize(
    ("images", "needed"),
    [
        ([image("large", 90)], "dom0: {memory: 384M}"),
        ([image("large", 60, 30)], "dom0: {memory: 384M}"),
        ([image("one", 60), image("two", 60)], "dom0: {memory: 384M}"),
        ([image("one", 10), with_disk(200)], "dom0: {memory: 512M}"),
    ],
)
def test_it_cannot(images: list[GuestImage], needed: str) -> None:
    """The error has the lab's line, the guest with the largest files, and what dom0 needs."""
    with pytest.raises(UsageError, match=r"labs.yaml:7:1: lab one: dom0 has 256M") as caught:
        check(256, *images)
    assert needed in caught.value.hint


def test_what_xen_boots_does_not_count() -> None:
    """Its files are in the machine's memory, not in dom0's."""
    booted = GuestSpec("large", Prebuilt(Path("/k")), by_xen=True)
    lab = Lab("one", HypervisorSpec("stock"), dom0=Dom0Spec(128 * MIB), guests=(booted,), line=7)
    guests.check_room(Path("/my/labs.yaml"), lab, {"large": image("large", 200)})
    files = {"large": image("large", 200), "small": image("small", 100)}
    with pytest.raises(UsageError, match=r"the largest are small's"):
        guests.check_room(Path("/my/labs.yaml"), lab, files)
