"""The platform of a lab: Xen and dom0, as Debian has one release of Xen."""

from __future__ import annotations

from lab.images import interface, linux_tree, sources, sysroot, tools, turns, xen
from lab.images.interface import Interface
from lab.model import Architecture, Package, Release, Toolchain
from lab.packages import deb
from lab.packages.archive import Question
from lab.store import Store, cache_root
from lab.workshop import questions
from lab.workshop.provision import Supplies
from lab.workshop.questions import KERNEL

#: The public headers in the package libxen-dev.
XEN_HEADERS = "usr/include/xen"
#: What is built from no package.
_OWN = ("guest", "project", tools.KIND, linux_tree.KIND, turns.KIND)


class Platform:
    """Packages of a release of Xen for an architecture, and a store for what is built from them.

    Packages are fetched only if something is built.
    """

    def __init__(self, supplies: Supplies, arch: Architecture, release: Release) -> None:
        self.release = release
        self.question = questions.platform(arch, release)
        self.sysroot = questions.tools(arch, release)
        self.store = Store(cache_root(), self._fetch, lambda: supplies.refill())
        self._supplies = supplies
        self._source: Question | None = None
        self._more: list[Question] = []

    def packages(self) -> list[Package]:
        """Its packages. Their files are fetched before something is built from them."""
        return self._supplies.packages(self.question)

    @property
    def tools(self) -> Package:
        """The package of dom0's tools."""
        return deb.named(self.packages(), self.release.tools)

    def interface(self, toolchain: Toolchain) -> Interface:
        """The versions of the control interface that the packaged tools use."""
        headers = sources.xen_headers(self.store, toolchain, self.packages()).path
        return interface.of_headers(headers / XEN_HEADERS)

    def source(self) -> list[Package]:
        """Xen's source package, in exactly the version of the tools in dom0."""
        self._source = questions.xen(self.tools.version, self.release.suite)
        return self._supplies.packages(self._source)

    def asks_for(self, question: Question) -> None:
        """From now on these packages are fetched too before something is built."""
        if question not in self._more:
            self._more.append(question)

    def _fetch(self, kind: str) -> None:
        """Fetch the packages that an entry of this kind is built from."""
        asked = {sources.KERNEL_KIND: KERNEL, xen.KIND: self._source, sysroot.KIND: self.sysroot}
        question = asked.get(kind, self.question)
        if kind in _OWN or question is None:
            return
        for one in (question, *self._more):
            self._supplies.fetch(one)
