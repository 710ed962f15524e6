"""Images, and what they were built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Package:
    """One binary or source package file, by name, version, architecture and sha256."""

    name: str
    version: str
    arch: str
    sha256: str
    size: int
    path: Path


@dataclass(frozen=True)
class Image:
    """One built file in the store. Its key was made from ``inputs``."""

    kind: str
    path: Path
    sha256: str
    size: int
    key: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Toolstack:
    """dom0's tools. ``origin`` is ``package`` or ``source``; ``version`` is the package's or Xen's.

    Of those from a tree: the versions of Xen's control interface in words, and the sha256 over
    all programs and libraries.
    """

    origin: str
    version: str
    interface: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Images:
    """What the machine boots. ``symbols`` is the hypervisor's ELF file, if there is one.

    ``kernel`` and ``initramfs`` are dom0's; ``None``: there is no dom0. ``booted``: the files of
    the guests that Xen creates while it boots, in one. ``turns``: the library that QEMU loads
    under the virtual clock.
    """

    hypervisor: Image
    kernel: Image | None
    initramfs: Image | None
    devicetree: Image
    symbols: Image | None = None
    tools: Toolstack | None = None
    booted: Image | None = None
    turns: Image | None = None

    def parts(self) -> dict[str, Image]:
        """What lies in the machine's memory when it starts, by kind."""
        found = {
            "hypervisor": self.hypervisor,
            "kernel": self.kernel,
            "initramfs": self.initramfs,
            "devicetree": self.devicetree,
            "booted": self.booted,
        }
        return {name: image for name, image in found.items() if image}


@dataclass(frozen=True)
class GuestImage:
    """What a guest boots. ``elf`` is for debuggers.

    ``disks``: the images of its disks, by their names in the guest. ``backends``: what dom0 needs
    to serve its disks and network interfaces.
    """

    name: str
    kernel: Image
    ramdisk: Image | None = None
    elf: Image | None = None
    library: Image | None = None
    disks: Mapping[str, Image] = field(default_factory=dict)
    backends: Image | None = None

    def parts(self) -> dict[str, Image]:
        """Its files, by kind."""
        found = {
            "kernel": self.kernel,
            "ramdisk": self.ramdisk,
            "elf": self.elf,
            "library": self.library,
            **{f"disk {vdev}": image for vdev, image in self.disks.items()},
            "backends": self.backends,
        }
        return {name: image for name, image in found.items() if image}
