"""Makes the guests of a plan: their kernels, ramdisks and disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lab.images import backends, freertos, guest_check, linux, sources
from lab.model import Architecture, GuestImage, GuestSpec, LinuxGuest, Package
from lab.packages.archive import Question
from lab.progress import Progress
from lab.store import Store
from lab.workshop import provision
from lab.workshop.provision import KERNEL, Supplies


@dataclass
class Guests:
    """What makes the guests of labs of one architecture.

    Attributes:
        platform: the question for the packages of Xen and dom0.
        questions: those for the packages of guests that are made for other architectures, so far.
    """

    store: Store
    supplies: Supplies
    progress: Progress
    platform: Question
    arch: Architecture
    questions: list[Question] = field(default_factory=list)

    def all_of(self, wanted: Sequence[GuestSpec]) -> dict[str, GuestImage]:
        """The guests' files, by name, from the store or made now.

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
                built[guest.name] = self._guest(guest, compiled)
                guest_check.check(guest, built[guest.name], self.arch)
            stage.note(", ".join(built))
        return built

    def _guest(self, guest: GuestSpec, compiled: freertos.Sources) -> GuestImage:
        if isinstance(guest.program, LinuxGuest):
            made_for = self.arch.of_guest(guest.width)
            packages = self._packages(made_for)
            image = linux.build(self.store, guest, guest.program, packages, made_for)
        else:
            image = freertos.build(self.store, self.supplies.toolchain, guest, compiled)
        if not guest.disks and not guest.vifs:
            return image
        disks = {disk.vdev: backends.disk(guest.name, disk) for disk in guest.disks}
        archive = backends.archive(self.store, self._packages(self.arch), self.arch)
        return replace(image, disks=disks, backends=archive)

    def _packages(self, made_for: Architecture) -> list[Package]:
        """The packages of Linux guests that are made for this architecture."""
        if made_for == self.arch:
            return self.supplies.packages(self.platform)
        question = provision.linux(made_for)
        if question not in self.questions:
            self.questions.append(question)
        return self.supplies.packages(question)

    def _sources(self) -> freertos.Sources:
        packages = self.supplies.packages(self.platform)
        tarballs = self.supplies.packages(KERNEL)
        keys = {
            "kernel": sources.freertos_kernel_key(tarballs),
            "headers": sources.xen_headers_key(packages),
        }
        store, toolchain = self.store, self.supplies.toolchain
        return freertos.Sources(
            keys,
            lambda: sources.freertos_kernel(store, toolchain, tarballs).path,
            lambda: sources.xen_headers(store, toolchain, packages).path,
            self.arch,
        )
