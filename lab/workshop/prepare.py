"""Everything that must be there before a machine starts: toolchain, images, guests.

If everything is stored already, nothing here uses the network or the packages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lab.errors import ImageError
from lab.images import (
    backends,
    boot_domains,
    devicetree,
    dom0,
    freertos,
    guest_check,
    hypervisor,
    interface,
    linux,
    linux_tree,
    own_kernel,
    sources,
    sysroot,
    tools,
    xen,
)
from lab.images.boot_domains import BootDomain
from lab.images.dom0_programs import Choice
from lab.images.interface import Interface
from lab.images.tools import Tools
from lab.model import (
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
from lab.packages import deb
from lab.packages.archive import Question
from lab.packages.lock import Lock, MadeUnder
from lab.progress import Progress
from lab.store import Store, cache_root
from lab.util import together
from lab.workshop import provision
from lab.workshop.provision import KERNEL, PLATFORM, SYSROOT, Supplies

#: The public headers in the package libxen-dev.
XEN_HEADERS = "usr/include/xen"


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
    """The toolchain and what is built with it. Packages are fetched only if something is built."""

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

    def prepare(self, plan: Plan, *, force: bool = False) -> Prepared:
        """Everything that a plan needs. Parts that are independent are made in parallel.

        Raises:
            LabError: the first failure. For ``force`` see :meth:`platform`.
        """
        specs = [guest.spec for guest in plan.all_guests]
        compiled = [one for one in specs if not isinstance(one.program, LinuxGuest | Prebuilt)]
        more = [KERNEL] if compiled else []
        if plan.lab.hypervisor.tools == "source" and not plan.lab.without_dom0:
            more.append(SYSROOT)
        self.supplies.prepare([PLATFORM, *more])
        self.packages()
        parts, built = together.pair(
            partial(self._parts, plan, force=force), partial(self.guests, specs)
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
        return self._images(plan, parts, self.guests([guest.spec for guest in plan.booted]))

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
        return Images(files["xen"], kernel, initramfs, tree, files.get("xen-syms"), tools, booted)

    def tools(self, spec: HypervisorSpec) -> Tools | None:
        """dom0's tools, built from a hypervisor's tree; ``None``: it has the packaged ones.

        Raises:
            ImageError: they do not compile, or what they are compiled against cannot be had.
        """
        if spec.tools == "package":
            return None
        base = self.supplies.packages(SYSROOT)
        with self.progress.stage(f"tools of hypervisor {spec.name}") as stage:
            stage.note("from source")
            against = sysroot.build(self.store, self.toolchain, base)
            made = tools.build(self.store, self.toolchain, spec, against, cache_root())
            stage.note(made.version)
        return made

    def dom0_of(self, spec: HypervisorSpec, wanted: Dom0Spec) -> tuple[Image, Image, Toolstack]:
        """dom0's kernel, its initramfs for a hypervisor, and the tools in it.

        Raises:
            ImageError: as :meth:`tools`. ConfigError: dom0 cannot run with the user's own kernel.
        """
        built = self.tools(spec)
        kernel, initramfs = self._dom0_images(wanted, built)
        packaged = Toolstack("package", deb.named(self.packages(), hypervisor.TOOLS).version)
        return kernel, initramfs, built.described() if built else packaged

    def _dom0_images(self, spec: Dom0Spec, built: Tools | None = None) -> list[Image]:
        """dom0's kernel and its initramfs. ``built``: tools that are not the packaged ones."""
        packages = self.packages()
        with self.progress.stage("images") as stage:
            stage.note("dom0's kernel and initramfs")
            if spec.own_kernel:
                return own_kernel.images(self.store, self.toolchain, packages, spec, built)
            made = together.all_of([
                partial(dom0.kernel, self.store, self.toolchain, packages),
                partial(dom0.initramfs, self.store, self.toolchain, packages, Choice(built)),
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
        packages = self.packages()
        both: tuple[Interface, Interface] | None = None
        if spec.source:
            headers = sources.xen_headers(self.store, self.toolchain, packages).path
            both = interface.of_tree(spec.source), interface.of_headers(headers / XEN_HEADERS)
        hypervisor.check_tools(spec.name, image, packages, both)

    def hypervisor(self, spec: HypervisorSpec) -> dict[str, Image]:
        """A hypervisor's files: ``xen``; built from source, also ``xen-syms`` and ``config``.

        Raises:
            ImageError: it does not compile, or its source package cannot be fetched.
        """
        packages = self.packages()
        with self.progress.stage(f"hypervisor {spec.name}") as stage:
            if spec.origin == "package":
                return {"xen": hypervisor.packaged(self.store, packages)}
            stage.note("from source")
            source = [] if spec.source else self.xen_source()
            return xen.build(self.store, self.toolchain, spec, source)

    def base_images(self) -> list[Image]:
        """The images that all labs share: the packaged Xen, dom0's kernel and initramfs."""
        packages = self.packages()
        xen, images = together.pair(
            partial(hypervisor.packaged, self.store, packages),
            partial(self._dom0_images, Dom0Spec()),
        )
        return [xen, *images]

    def guests(self, wanted: Sequence[GuestSpec]) -> dict[str, GuestImage]:
        """The guests' binaries, by name.

        Raises:
            GuestError: a guest does not build.
            UsageError: a guest cannot be started with its files; the message names the place in
                labs.yaml.
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
            image = linux.build(self.store, guest, guest.program, self.packages())
        else:
            image = freertos.build(self.store, self.toolchain, guest, sources)
        if not guest.disks and not guest.vifs:
            return image
        disks = {disk.vdev: backends.disk(guest.name, disk) for disk in guest.disks}
        archive = backends.archive(self.store, self.packages())
        return replace(image, disks=disks, backends=archive)

    def packages(self) -> list[Package]:
        """The platform's packages. Their files are fetched before something is built from them."""
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

    def kernel_source(self) -> Path:
        """The folder with the packaged FreeRTOS kernel's sources."""
        return self._sources().kernel()

    def xen_source(self) -> list[Package]:
        """Xen's source package, in exactly the version of the tools in dom0."""
        self._xen = provision.xen(deb.named(self.packages(), hypervisor.TOOLS).version)
        return self.supplies.packages(self._xen)

    def _fetch(self, kind: str) -> None:
        """Fetch the packages that an entry of this kind is built from."""
        asked = {sources.KERNEL_KIND: KERNEL, xen.KIND: self._xen, sysroot.KIND: SYSROOT}
        question = asked.get(kind, PLATFORM)
        own = ("guest", "project", tools.KIND, linux_tree.KIND)
        if kind not in own and question is not None:
            self.supplies.fetch(question)
