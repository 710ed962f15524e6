"""Everything that must be there before a machine starts: toolchain, images, guests.

With everything stored, nothing here touches the network or the packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.images import (
    boot_domains,
    devicetree,
    dom0,
    freertos,
    guest_check,
    hypervisor,
    linux,
    sources,
    xen,
)
from lab.images.boot_domains import BootDomain
from lab.model import (
    GuestImage,
    GuestSpec,
    HypervisorSpec,
    Image,
    Images,
    LinuxGuest,
    Package,
    Plan,
    Toolchain,
)
from lab.packages import deb
from lab.packages.lock import Lock, MadeUnder
from lab.packages.pinned import Question
from lab.progress import Progress
from lab.store import Store, cache_root
from lab.workshop import provision
from lab.workshop.provision import KERNEL, PLATFORM, Supplies


@dataclass(frozen=True)
class Prepared:
    """All that a machine needs."""

    toolchain: Toolchain
    images: Images
    guests: dict[str, GuestImage]
    lock: MadeUnder


class Workshop:
    """The toolchain and what is made in it. Packages are fetched when something is built."""

    def __init__(
        self, door: str | None, progress: Progress, lock: Lock, *, strict: bool = False
    ) -> None:
        cache = cache_root()
        self.progress = progress
        self.store = Store(cache, before_build=self._fetch)
        self.supplies = Supplies(cache, door, progress, lock, strict=strict)
        self._xen: Question | None = None

    @property
    def toolchain(self) -> Toolchain:
        """The toolchain, made on first use."""
        return self.supplies.toolchain

    def platform(self, plan: Plan, *, force: bool = False) -> Images:
        """Xen, dom0 and the device tree of a plan.

        Raises:
            ImageError: among others, Xen is not of the version of the tools in dom0; ``force``
                takes it all the same.
        """
        packages = self.packages()
        files = self.hypervisor(plan.lab.hypervisor)
        if not force and not plan.lab.without_dom0:
            hypervisor.check_tools(plan.lab.hypervisor.name, files["xen"], packages)
        guests = self.guests([guest.spec for guest in plan.booted])
        with self.progress.stage("images") as stage:
            kernel = initramfs = booted = None
            domains: list[BootDomain] = []
            if not plan.lab.without_dom0:
                stage.note("dom0 kernel")
                kernel = dom0.kernel(self.store, self.toolchain, packages)
                stage.note("initramfs")
                initramfs = dom0.initramfs(self.store, self.toolchain, packages)
            if plan.booted:
                stage.note("guests that Xen boots")
                booted, domains = boot_domains.build(self.store, plan.booted, guests)
            stage.note("device tree")
            tree = devicetree.build(
                self.store, self.toolchain, plan.machine, plan.xen_args, plan.dom0_args,
                kernel, initramfs, domains, booted,
            )  # fmt: skip
            stage.note("")
        return Images(files["xen"], kernel, initramfs, tree, files.get("xen-syms"), booted)

    def hypervisor(self, spec: HypervisorSpec) -> dict[str, Image]:
        """A hypervisor's files: ``xen``, and of one built from source ``xen-syms``, ``config``.

        Raises:
            ImageError: it does not compile, or its source package cannot be had.
        """
        packages = self.packages()
        with self.progress.stage(f"hypervisor {spec.name}") as stage:
            if spec.origin == "package":
                return {"xen": hypervisor.packaged(self.store, packages)}
            stage.note("from source")
            source = [] if spec.source else self.xen_source()
            return xen.build(self.store, self.toolchain, spec, source)

    def base_images(self) -> list[Image]:
        """The images that do not depend on a lab."""
        packages = self.packages()
        return [
            hypervisor.packaged(self.store, packages),
            dom0.kernel(self.store, self.toolchain, packages),
            dom0.initramfs(self.store, self.toolchain, packages),
        ]

    def guests(self, wanted: Sequence[GuestSpec]) -> dict[str, GuestImage]:
        """The guests' binaries, by name.

        Raises:
            GuestError: one does not build.
            UsageError: what there is of one cannot be started, as its place in labs.yaml has it.
        """
        if not wanted:
            return {}
        sources = self._sources()
        with self.progress.stage("guests") as stage:
            built = {}
            for guest in wanted:
                stage.note(guest.name)
                built[guest.name] = self._guest(guest, sources)
                guest_check.check(guest, built[guest.name])
            stage.note(", ".join(built))
        return built

    def _guest(self, guest: GuestSpec, sources: freertos.Sources) -> GuestImage:
        if isinstance(guest.program, LinuxGuest):
            return linux.build(self.store, guest, guest.program, self.packages())
        return freertos.build(self.store, self.toolchain, guest, sources)

    def packages(self) -> list[Package]:
        """The packages of the platform; their files are there once something was built."""
        return self.supplies.packages(PLATFORM)

    def _sources(self) -> freertos.Sources:
        packages = self.packages()
        tarballs = self.supplies.packages(KERNEL)
        keys = {
            "kernel": sources.freertos_kernel_key(tarballs),
            "headers": sources.xen_headers_key(packages),
        }
        return freertos.Sources(
            keys,
            lambda: sources.freertos_kernel(self.store, self.toolchain, tarballs).path,
            lambda: sources.xen_headers(self.store, self.toolchain, packages).path,
        )

    def xen_source(self) -> list[Package]:
        """Xen's source package, in the very version of the tools."""
        self._xen = provision.xen(deb.named(self.packages(), hypervisor.TOOLS).version)
        return self.supplies.packages(self._xen)

    def _fetch(self, kind: str) -> None:
        """Before something is built: its packages."""
        question = {sources.KERNEL_KIND: KERNEL, xen.KIND: self._xen}.get(kind, PLATFORM)
        if kind not in ("guest", "project") and question is not None:
            self.supplies.fetch(question)
