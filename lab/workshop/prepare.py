"""Everything that must be there before a machine starts: toolchain, images, guests.

If everything is stored already, nothing here uses the network or the packages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.errors import ImageError, UsageError
from lab.images import (
    boot_domains,
    devicetree,
    dom0,
    hypervisor,
    interface,
    own_kernel,
    sysroot,
    tools,
    turns,
    xen,
)
from lab.images.boot_domains import BootDomain
from lab.images.dom0_programs import Choice
from lab.images.interface import Interface
from lab.images.tools import Tools
from lab.model import (
    ARM32,
    Architecture,
    Clock,
    Dom0Spec,
    GuestImage,
    GuestSpec,
    HypervisorSpec,
    Image,
    Images,
    LinuxGuest,
    Package,
    Plan,
    Prebuilt,
    Toolchain,
    Toolstack,
)
from lab.model.architecture import no_release
from lab.packages.lock import Lock, MadeUnder
from lab.progress import Progress
from lab.store import cache_root
from lab.util import together
from lab.workshop.guests import Guests
from lab.workshop.platform import Platform
from lab.workshop.provision import Supplies
from lab.workshop.questions import KERNEL

#: The hypervisor's files; dom0's kernel, initramfs and tools, if there is a dom0.
_Parts = tuple[dict[str, Image], tuple[Image, Image, Toolstack] | None]


@dataclass(frozen=True)
class Prepared:
    """Everything that a machine needs."""

    toolchain: Toolchain
    images: Images
    guests: dict[str, GuestImage]
    lock: MadeUnder


class Workshop:
    """The toolchain of an architecture and what is built with it.

    Packages are fetched only if something is built.
    """

    def __init__(
        self, door: str | None, progress: Progress, lock: Lock, arch: Architecture = ARM32,
        *, strict: bool = False,
    ) -> None:  # fmt: skip
        self.progress = progress
        self.arch = arch
        self.supplies = Supplies(door, progress, lock, arch, strict=strict)
        self._platforms = {one: Platform(self.supplies, arch, one) for one in arch.releases}
        self._base = self._platforms[arch.releases[0]]
        self._guests = Guests(self._base, self.supplies, progress, arch)
        self.store = self._base.store

    @property
    def toolchain(self) -> Toolchain:
        """The toolchain, made on first use."""
        return self.supplies.toolchain

    def prepare(self, plan: Plan, *, force: bool = False) -> Prepared:
        """Everything that a plan needs. Parts that are independent are made in parallel.

        Raises:
            LabError: the first failure. For ``force`` see :meth:`platform`.
        """
        specs = [guest.spec for guest in plan.all_guests]
        hypervisor, platform = plan.lab.hypervisor, self.platform_of(plan.lab.hypervisor)
        compiled = [one for one in specs if not isinstance(one.program, LinuxGuest | Prebuilt)]
        more = [KERNEL] if compiled else []
        if hypervisor.tools == "source" and not plan.lab.without_dom0:
            more.append(platform.sysroot)
        if specs and platform is not self._base:
            more.append(self._base.question)
        self.supplies.prepare([platform.question, *more])
        platform.packages()
        parts, built = together.pair(
            partial(self._parts, plan, force=force), partial(self.guests, specs, hypervisor)
        )
        images = self._images(plan, parts, built)
        return Prepared(self.toolchain, images, built, self.supplies.state)

    def platform(self, plan: Plan, *, force: bool = False) -> Images:
        """Xen, dom0 and the device tree of a plan.

        Raises:
            ImageError: an image cannot be made, or dom0's tools do not fit Xen. With ``force``
                the latter is only said.
        """
        parts = self._parts(plan, force=force)
        booted = [guest.spec for guest in plan.booted]
        return self._images(plan, parts, self.guests(booted, plan.lab.hypervisor))

    def _parts(self, plan: Plan, *, force: bool) -> _Parts:
        """Files of the hypervisor, and what dom0 boots, if there is a dom0."""
        spec = plan.lab.hypervisor
        if plan.lab.without_dom0:
            return self.hypervisor(spec), None
        checked = partial(self._checked_hypervisor, spec, force=force)
        return together.pair(checked, partial(self.dom0_of, spec, plan.lab.dom0))

    def _images(self, plan: Plan, parts: _Parts, guests: Mapping[str, GuestImage]) -> Images:
        files, of_dom0 = parts
        kernel, initramfs, tools = of_dom0 or (None, None, None)
        booted, domains = None, list[BootDomain]()
        with self.progress.stage("device tree"):
            if plan.booted:
                booted, domains = boot_domains.build(self.store, plan, guests)
            boot = devicetree.Boot(
                plan.xen_args, plan.dom0_args, kernel, initramfs, domains, booted
            )
            tree = devicetree.build(self.store, self.toolchain, plan.machine, boot)
        virtual = plan.machine.clock is Clock.VIRTUAL
        library = turns.build(self.store, self.toolchain) if virtual else None
        symbols = files.get("xen-syms")
        return Images(files["xen"], kernel, initramfs, tree, symbols, tools, booted, library)

    def tools(self, spec: HypervisorSpec) -> Tools | None:
        """dom0's tools, built from a hypervisor's tree; ``None``: it has the packaged ones.

        Raises:
            ImageError: they do not compile, or what they are compiled against cannot be had.
        """
        if spec.tools == "package":
            return None
        base = self.supplies.packages(self.platform_of(spec).sysroot)
        with self.progress.stage(f"tools of hypervisor {spec.name}") as stage:
            stage.note("from source")
            against = sysroot.build(self.store, self.toolchain, base, self.arch)
            made = tools.build(self.store, self.toolchain, spec, against, cache_root())
            stage.note(made.version)
        return made

    def dom0_of(self, spec: HypervisorSpec, wanted: Dom0Spec) -> tuple[Image, Image, Toolstack]:
        """dom0's kernel, its initramfs for a hypervisor, and the tools in it.

        Raises:
            ImageError: as :meth:`tools`. ConfigError: dom0 cannot run with the user's own kernel.
        """
        built = self.tools(spec)
        platform = self.platform_of(spec)
        choice = Choice(self.arch, platform.release, built)
        kernel, initramfs = self._dom0_images(wanted, platform, choice)
        packaged = Toolstack("package", platform.tools.version)
        return kernel, initramfs, built.described() if built else packaged

    def _dom0_images(self, spec: Dom0Spec, platform: Platform, choice: Choice) -> list[Image]:
        """dom0's kernel and its initramfs. ``choice``: which dom0 they are for."""
        store, packages = platform.store, platform.packages()
        with self.progress.stage("images") as stage:
            stage.note("dom0's kernel and initramfs")
            if spec.own_kernel:
                return own_kernel.images(store, self.toolchain, packages, spec, choice)
            made = together.all_of([
                partial(dom0.kernel, store, self.toolchain, packages, self.arch),
                partial(dom0.initramfs, store, self.toolchain, packages, choice),
            ])  # fmt: skip
            stage.note("")
        return made

    def _checked_hypervisor(self, spec: HypervisorSpec, *, force: bool) -> dict[str, Image]:
        files = self.hypervisor(spec)
        if spec.tools == "package":
            try:
                self._check(spec, files["xen"])
            except ImageError as error:
                if not force:
                    raise
                self.progress.say(error.message)
        return files

    def _check(self, spec: HypervisorSpec, image: Image) -> None:
        """Refuse a hypervisor that the packaged tools do not fit."""
        platform = self.platform_of(spec)
        both: tuple[Interface, Interface] | None = None
        if spec.source:
            both = interface.of_tree(spec.source), platform.interface(self.toolchain)
        hypervisor.check_tools(spec.name, image, platform.tools, both)

    def hypervisor(self, spec: HypervisorSpec) -> dict[str, Image]:
        """A hypervisor's files: ``xen``; built from source, also ``xen-syms`` and ``config``.

        Raises:
            ImageError: it does not compile, or its source package cannot be fetched.
        """
        platform = self.platform_of(spec)
        store, packages = platform.store, platform.packages()
        with self.progress.stage(f"hypervisor {spec.name}") as stage:
            if spec.origin == "package":
                release = platform.release
                return {"xen": hypervisor.packaged(store, packages, self.arch, release)}
            stage.note("from source")
            source = [] if spec.source else platform.source()
            return xen.build(store, self.toolchain, spec, source, self.arch)

    def base_images(self) -> list[Image]:
        """The images that all labs share: the packaged Xen, dom0's kernel and initramfs."""
        packages = self.packages()
        xen, images = together.pair(
            partial(hypervisor.packaged, self.store, packages, self.arch),
            partial(self._dom0_images, Dom0Spec(), self._base, Choice(self.arch)),
        )
        return [xen, *images]

    def guests(
        self, wanted: Sequence[GuestSpec], beside: HypervisorSpec | None = None
    ) -> dict[str, GuestImage]:
        """The guests' binaries, by name. ``beside``: the hypervisor of their lab.

        Raises:
            GuestError: a guest does not build.
            UsageError: a guest cannot be started with its files; the message names the place in
                labs.yaml.
        """
        return self._guests.all_of(wanted, self.platform_of(beside) if beside else None)

    def packages(self) -> list[Package]:
        """The packages of the default platform."""
        return self._base.packages()

    def platform_of(self, spec: HypervisorSpec) -> Platform:
        """The packages that a hypervisor and its dom0 are made of.

        Raises:
            UsageError: Debian does not have this release of Xen for the architecture.
        """
        if why := no_release(self.arch, spec.release):
            raise UsageError(f"hypervisor {spec.name}: {why}")
        return self._platforms[self.arch.release(spec.release)]

    def kernel_source(self) -> Path:
        """The folder with the packaged FreeRTOS kernel's sources."""
        return self._guests.kernel_source()

    def xen_source(self) -> list[Package]:
        """The source package of the default platform's Xen."""
        return self._base.source()
