"""Everything that must be there before a machine starts: toolchain, images, guests.

With everything stored, nothing here touches the network or the packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.images import archive, deb, devicetree, dom0, freertos, hypervisor, sources, xen
from lab.model import (
    GuestImage,
    GuestSpec,
    HypervisorSpec,
    Image,
    Images,
    Package,
    Plan,
    Toolchain,
)
from lab.progress import Progress
from lab.store import Store, cache_root
from lab.toolchain import open_toolchain

#: Where the machine's software comes from, and the packages that are asked for.
SUITE, ARCH = "bookworm", "armhf"
WANTED = (
    "xen-hypervisor-4.17-armhf", "linux-image-armmp-lpae", "xen-utils-4.17", "xenstore-utils",
    "busybox-static", "qemu-guest-agent", "libxen-dev",
)  # fmt: skip
#: Of those and what they depend on, what holds something that we use.
KEEP = (
    "xen-hypervisor-4.17-armhf", "linux-image-6*", "xen-utils-4.17", "xenstore-utils",
    "busybox-static", "qemu-guest-agent", "lib*", "zlib1g",
)  # fmt: skip
#: The source package that carries the FreeRTOS kernel, and its suite.
KERNEL_SUITE, KERNEL_SOURCE = "trixie", "micropython"
#: The source package of Xen; its suite is the machine's own.
XEN_SOURCE = "xen"


@dataclass(frozen=True)
class Prepared:
    """All that a machine needs."""

    toolchain: Toolchain
    images: Images
    guests: dict[str, GuestImage]


class Workshop:
    """The toolchain and what is made in it. Packages are fetched when something is built."""

    def __init__(self, door: str | None, progress: Progress, *, refresh: bool = False) -> None:
        self.progress = progress
        self.refresh = refresh
        self.cache = cache_root()
        self.store = Store(before_build=self._fetch)
        self._door = door
        self._toolchain: Toolchain | None = None
        self._platform: archive.Resolution | None = None
        self._kernel: archive.Resolution | None = None
        self._xen: archive.Resolution | None = None
        self._fetched: set[tuple[str, str]] = set()

    @property
    def toolchain(self) -> Toolchain:
        """The toolchain, made on first use."""
        if self._toolchain is None:
            with self.progress.stage("toolchain"):
                told = self.progress.say
                self._toolchain = open_toolchain(self._door or "auto", progress=told)
        return self._toolchain

    def platform(self, plan: Plan, *, force: bool = False) -> Images:
        """Xen, dom0 and the device tree of a plan.

        Raises:
            ImageError: among others, Xen is not of the version of the tools in dom0; ``force``
                takes it all the same.
        """
        packages = self.packages()
        files = self.hypervisor(plan.lab.hypervisor)
        if not force:
            hypervisor.check_tools(plan.lab.hypervisor.name, files["xen"], packages)
        with self.progress.stage("images") as stage:
            stage.note("dom0 kernel")
            kernel = dom0.kernel(self.store, self.toolchain, packages)
            stage.note("initramfs")
            initramfs = dom0.initramfs(self.store, self.toolchain, packages)
            stage.note("device tree")
            tree = devicetree.build(
                self.store, self.toolchain, plan.machine, plan.xen_args, plan.dom0_args,
                kernel, initramfs,
            )  # fmt: skip
            stage.note("")
        return Images(files["xen"], kernel, initramfs, tree, files.get("xen-syms"))

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
        """The guests' binaries, by name."""
        if not wanted:
            return {}
        sources = self._sources()
        with self.progress.stage("guests") as stage:
            built = {}
            for guest in wanted:
                stage.note(guest.name)
                built[guest.name] = freertos.build(self.store, self.toolchain, guest, sources)
            stage.note(", ".join(built))
        return built

    def packages(self) -> list[Package]:
        """The packages of the platform; their files are there once something was built."""
        if self._platform is None:
            toolchain = self.toolchain
            with self.progress.stage("packages") as stage:
                stage.note(f"{SUITE} {ARCH}")
                self._platform = archive.resolve(
                    toolchain, self.cache, suite=SUITE, arch=ARCH, wanted=WANTED, keep=KEEP,
                    refresh=self.refresh,
                )  # fmt: skip
        return archive.expected(self.cache, self._platform)

    def _sources(self) -> freertos.Sources:
        packages = self.packages()
        if self._kernel is None:
            self._kernel = archive.resolve_source(
                self.toolchain, self.cache, suite=KERNEL_SUITE, name=KERNEL_SOURCE,
                refresh=self.refresh,
            )  # fmt: skip
        tarballs = archive.expected(self.cache, self._kernel)
        kernel = sources.freertos_kernel(self.store, self.toolchain, tarballs)
        headers = sources.xen_headers(self.store, self.toolchain, packages)
        return freertos.Sources(
            kernel.path, headers.path, {"kernel": kernel.key, "headers": headers.key}
        )

    def xen_source(self) -> list[Package]:
        """Xen's source package, in the very version of the tools."""
        if self._xen is None:
            tools = deb.named(self.packages(), hypervisor.TOOLS)
            self._xen = archive.resolve_source(
                self.toolchain, self.cache, suite=SUITE, name=XEN_SOURCE, version=tools.version,
                refresh=self.refresh,
            )  # fmt: skip
        return archive.expected(self.cache, self._xen)

    def _fetch(self, kind: str) -> None:
        """Before something is built: its packages, once."""
        others = {sources.KERNEL_KIND: self._kernel, xen.KIND: self._xen}
        resolution = others.get(kind, self._platform)
        if kind in ("guest", "project") or resolution is None:
            return
        what = resolution.suite, resolution.arch
        if what not in self._fetched:
            with self.progress.stage(f"fetch {' '.join(what)} packages"):
                archive.fetch(self.toolchain, self.cache, resolution)
            self._fetched.add(what)
