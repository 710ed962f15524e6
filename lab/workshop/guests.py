"""Makes the guests of a plan: their kernels, ramdisks and disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.images import backends, freertos, guest_check, linux, sources
from lab.model import Architecture, GuestImage, GuestSpec, LinuxGuest, Package
from lab.progress import Progress
from lab.workshop import questions
from lab.workshop.platform import Platform
from lab.workshop.provision import Supplies
from lab.workshop.questions import KERNEL


@dataclass
class Guests:
    """What makes the guests of labs of one architecture.

    Attributes:
        platform: the architecture's default. Guests are built from its packages, so they are the
            same under each release of Xen.
    """

    platform: Platform
    supplies: Supplies
    progress: Progress
    arch: Architecture

    def all_of(
        self, wanted: Sequence[GuestSpec], beside: Platform | None = None
    ) -> dict[str, GuestImage]:
        """The guests' files, by name, from the store or made now.

        ``beside``: the platform of their dom0, which runs the backends of their disks and
        networks; ``None``: the default.

        Raises:
            GuestError: a guest does not build.
            UsageError: a guest cannot be started with its files; the message names the place in
                labs.yaml.
        """
        if not wanted:
            return {}
        compiled = self._sources()
        with self.progress.stage("guests") as stage:
            built = {}
            for guest in wanted:
                stage.note(guest.name)
                built[guest.name] = self._guest(guest, compiled, beside or self.platform)
                guest_check.check(guest, built[guest.name], self.arch)
            stage.note(", ".join(built))
        return built

    def kernel_source(self) -> Path:
        """The folder with the packaged FreeRTOS kernel's sources."""
        return self._sources().kernel()

    def _guest(self, guest: GuestSpec, compiled: freertos.Sources, beside: Platform) -> GuestImage:
        if isinstance(guest.program, LinuxGuest):
            made_for = self.arch.of_guest(guest.width)
            packages = self._packages(made_for)
            image = linux.build(self.platform.store, guest, guest.program, packages, made_for)
        else:
            image = freertos.build(self.platform.store, self.supplies.toolchain, guest, compiled)
        if not guest.disks and not guest.vifs:
            return image
        disks = {disk.vdev: backends.disk(guest.name, disk) for disk in guest.disks}
        archive = backends.archive(beside.store, beside.packages(), self.arch)
        return replace(image, disks=disks, backends=archive)

    def _packages(self, made_for: Architecture) -> list[Package]:
        """The packages of Linux guests that are made for this architecture."""
        if made_for == self.arch:
            return self.platform.packages()
        question = questions.linux(made_for)
        self.platform.asks_for(question)
        return self.supplies.packages(question)

    def _sources(self) -> freertos.Sources:
        packages = self.platform.packages()
        tarballs = self.supplies.packages(KERNEL)
        keys = {
            "kernel": sources.freertos_kernel_key(tarballs),
            "headers": sources.xen_headers_key(packages),
        }
        store, toolchain = self.platform.store, self.supplies.toolchain
        return freertos.Sources(
            keys,
            lambda: sources.freertos_kernel(store, toolchain, tarballs).path,
            lambda: sources.xen_headers(store, toolchain, packages).path,
            self.arch,
        )
