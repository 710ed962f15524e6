"""What labs are made of, under a lock: the toolchain, and packages from Debian's archive.

What is not as the lock says is kept: for one line, and for the manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.errors import LockError
from lab.images import hypervisor
from lab.model import Package, Toolchain
from lab.packages import archive, lock, pinned
from lab.packages.apt import SOURCE
from lab.packages.archive import Resolution
from lab.packages.lock import Drift, Lock, Pin
from lab.packages.pinned import Question, Rules
from lab.progress import Progress
from lab.toolchain import ToolchainRequest, open_toolchain, recipe
from lab.util import files

#: Where the machine's software comes from, and the packages that are asked for.
PLATFORM = Question(
    "bookworm", "armhf",
    wanted=(
        "xen-hypervisor-4.17-armhf", "linux-image-armmp-lpae", "xen-utils-4.17",
        "xenstore-utils", "busybox-static", "qemu-guest-agent", "libxen-dev",
    ),
    # Of those and what they depend on, what holds something that we use.
    keep=(
        "xen-hypervisor-4.17-armhf", "linux-image-6*", "xen-utils-4.17", "xenstore-utils",
        "busybox-static", "qemu-guest-agent", "lib*", "zlib1g",
    ),
)  # fmt: skip
#: What dom0's tools are compiled against where they are built from a tree. Of the same suite
#: as the libraries that are in dom0.
SYSROOT = Question(
    PLATFORM.suite, PLATFORM.arch,
    wanted=(
        "libc6-dev", "libfdt-dev", "libncurses-dev", "libyajl-dev", "uuid-dev", "zlib1g-dev",
    ),
    keep=(
        "libc6", "libc6-dev", "libfdt*", "libgcc-s1", "libncurses*", "libtinfo6", "libuuid1",
        "libyajl*", "linux-libc-dev", "uuid-dev", "zlib1g*",
    ),
    part="tools",
)  # fmt: skip
#: The source package that carries the FreeRTOS kernel.
KERNEL = Question("trixie", SOURCE, ("micropython",))
#: What the toolchain is made of, asked of apt as mmdebstrap does.
TOOLCHAIN = Question(
    recipe.SUITE, recipe.ARCHITECTURE, ("?essential", *recipe.package_list())
)  # fmt: skip


def xen(version: str) -> Question:
    """The source package of Xen, in the version of the tools in dom0."""
    return Question(PLATFORM.suite, SOURCE, ("xen",), version=version)


class Supplies:
    """The toolchain and the packages. With the cache filled nothing here asks an archive."""

    def __init__(
        self, cache: Path, door: str | None, progress: Progress, pins: Lock, *, strict: bool
    ) -> None:
        self.lock = pins
        self._cache = cache
        self._door = door
        self._progress = progress
        self._rules = Rules(pins.snapshot, strict)
        self._toolchain: Toolchain | None = None
        self._settled: dict[Question, pinned.Settled] = {}
        self._packages: dict[Question, list[Package]] = {}
        self._fetched: set[Question] = set()
        self._drift: list[Drift] = []

    @property
    def state(self) -> lock.MadeUnder:
        """The lock, and what was found to be not as it says."""
        return lock.MadeUnder(self.lock.digest, tuple(self._drift))

    @property
    def toolchain(self) -> Toolchain:
        """The toolchain, made on first use.

        Raises:
            ToolchainError: it cannot be had.
            LockError: it is not the locked one and must be.
        """
        if self._toolchain is None:
            self._check()
            rules = self._rules
            wanted = ToolchainRequest(
                self.lock.toolchain, rules.snapshot, rules.strict, self._older
            )
            with self._progress.stage("toolchain"):
                told = self._progress.say
                made = open_toolchain(
                    self._door or "auto", cache=self._cache, progress=told, wanted=wanted
                )
            self._drift += self._drift_of(made)
            self._toolchain = made
        return self._toolchain

    def resolution(self, question: Question) -> Resolution:
        """Exactly which packages answer a question.

        Raises:
            ImageError: see :func:`lab.packages.pinned.settle`.
        """
        if question not in self._settled:
            toolchain = self.toolchain
            with self._progress.stage(f"packages {question.name.replace('/', ' ')}") as stage:
                pins = locked(self.lock, question)
                settled = pinned.settle(toolchain, self._cache, question, pins, self._rules)
                stage.note(f"{len(settled.resolution.pins)}")
            self._drift += settled.drift
            self._settled[question] = settled
        return self._settled[question].resolution

    def packages(self, question: Question) -> list[Package]:
        """The packages that answer a question; their files are there after :meth:`fetch`."""
        if question not in self._packages:
            self._packages[question] = archive.expected(self._cache, self.resolution(question))
        return self._packages[question]

    def fetch(self, question: Question) -> None:
        """Have the files; those that were removed from the cache are downloaded again."""
        resolution = self.resolution(question)
        if question not in self._fetched:
            if archive.missing(self._cache, resolution.pins):
                what = f"{resolution.suite} {resolution.arch}"
                with self._progress.stage(f"fetch {what} packages"):
                    pins = locked(self.lock, question)
                    pinned.fetch_again(
                        self.toolchain, self._cache, question, pins, self._rules, resolution
                    )
            self._fetched.add(question)

    def newest(self) -> Lock:
        """A lock of what the archive has now, without images.

        Raises:
            ImageError: the archive is out of reach.
        """
        found: dict[str, tuple[Pin, ...]] = {}
        with self._progress.stage("newest packages") as stage:
            for question in (TOOLCHAIN, PLATFORM, SYSROOT, KERNEL):
                stage.note(question.name.replace("/", " "))
                found[question.name] = question.newest(self.toolchain, self._cache).pins
            platform = found[PLATFORM.name]
            version = next(pin.version for pin in platform if pin.name == hypervisor.TOOLS)
            answer = xen(version).newest(self.toolchain, self._cache)
            found[f"{answer.suite}/{answer.arch}"] = answer.pins
        return Lock(found.pop(TOOLCHAIN.name), found)

    def _check(self) -> None:
        """A lock that is new to this cache contradicts nothing in it, needed now or not."""
        seen = self._cache / "locks" / self.lock.digest
        if not seen.exists():
            for pins in self.lock.archives.values():
                pinned.check(self._cache, pins)
            files.write_atomic(seen, "")

    def _older(self, newest: Toolchain) -> Sequence[Path] | None:
        """The files of the toolchain's locked packages, out of apt's snapshots."""
        what = Resolution(TOOLCHAIN.suite, TOOLCHAIN.arch, self.lock.toolchain)
        if pinned.from_snapshot(newest, self._cache, what, self.lock.snapshot):
            return [package.path for package in archive.expected(self._cache, what)]
        return None

    def _drift_of(self, toolchain: Toolchain) -> Sequence[Drift]:
        """What a toolchain has in place of what is locked; the host's has no packages."""
        pins, versions = self.lock.toolchain, toolchain.info().packages
        if not pins or not versions:
            return ()
        found = lock.drift_of_versions(pins, versions, recipe.ARCHITECTURE)
        if found and self._rules.strict:
            raise LockError(lock.refused(found), hint=lock.REFUSED_HINT)
        return found


def locked(pins: Lock, question: Question) -> tuple[Pin, ...]:
    """The part of a lock that a question is about."""
    names = question.wanted if question.arch == SOURCE else ()
    found = pins.archives.get(question.name, ())
    return tuple(pin for pin in found if not names or pin.name in names)
