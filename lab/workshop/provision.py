"""What labs are made of, under a lock: the toolchain, and packages from Debian's archive.

What is not as the lock says is kept: for one line, and for the manifest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lab.errors import LabError, LockError
from lab.images import hypervisor
from lab.model import Package, Toolchain
from lab.packages import archive, lock, pinned
from lab.packages.apt import SOURCE
from lab.packages.archive import Resolution
from lab.packages.lock import Drift, Lock, Pin
from lab.packages.pinned import Question, Rules
from lab.progress import Progress
from lab.toolchain import ToolchainRequest, open_toolchain, recipe, this_machine
from lab.util import files, together

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
        self._guard = threading.RLock()

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
        with self._guard:
            if self._toolchain is None:
                self._toolchain = self._opened()
            return self._toolchain

    def _opened(self) -> Toolchain:
        self._check()
        rules = self._rules
        wanted = ToolchainRequest(self.lock.toolchain, rules.snapshot, rules.strict, self._older)
        with self._progress.stage("toolchain"):
            told = self._progress.say
            made = open_toolchain(
                self._door or "auto", cache=self._cache, progress=told, wanted=wanted
            )
        self._drift += self._drift_of(made)
        return made

    def prepare(self, questions: Sequence[Question]) -> None:
        """The toolchain; while it is made, this machine's apt fetches what the lock has.

        Raises:
            ToolchainError, LockError: as :attr:`toolchain`.
        """
        ahead = [one for one in questions if not pinned.remembered(self._cache, one, self._of(one))]
        helper = this_machine() if ahead and self._toolchain is None else None
        works: list[Callable[[], object]] = [lambda: self.toolchain]
        if helper:
            works += [partial(self._fetch_ahead, helper, question) for question in ahead]
        together.all_of(works)

    def _fetch_ahead(self, helper: Toolchain, question: Question) -> None:
        """What goes wrong here is asked again with the toolchain, and told then."""
        what = f"{question.suite} {question.arch}"
        with self._progress.stage(f"fetch {what} packages") as stage:
            try:
                if not pinned.fetch_ahead(helper, self._cache, question, self._of(question)):
                    stage.note("they are not the locked ones")
            except LabError:
                stage.note("not yet")

    def _of(self, question: Question) -> tuple[Pin, ...]:
        return locked(self.lock, question)

    def resolution(self, question: Question) -> Resolution:
        """Exactly which packages answer a question.

        Raises:
            ImageError: see :func:`lab.packages.pinned.settle`.
        """
        with self._guard:
            if question not in self._settled:
                self._settle(question)
            return self._settled[question].resolution

    def _settle(self, question: Question) -> None:
        toolchain = self.toolchain
        with self._progress.stage(f"packages {question.suite} {question.arch}") as stage:
            pins = self._of(question)
            settled = pinned.settle(toolchain, self._cache, question, pins, self._rules)
            stage.note(f"{len(settled.resolution.pins)}")
        self._drift += settled.drift
        self._settled[question] = settled

    def packages(self, question: Question) -> list[Package]:
        """The packages that answer a question; their files are there after :meth:`fetch`."""
        with self._guard:
            if question not in self._packages:
                resolution = self.resolution(question)
                self._packages[question] = archive.expected(self._cache, resolution)
            return self._packages[question]

    def fetch(self, question: Question) -> None:
        """Have the files; those that were removed from the cache are downloaded again."""
        with self._guard:
            resolution = self.resolution(question)
            if question in self._fetched:
                return
            if archive.missing(self._cache, resolution.pins):
                what = f"{resolution.suite} {resolution.arch}"
                with self._progress.stage(f"fetch {what} packages"):
                    pins = self._of(question)
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
            for question in (TOOLCHAIN, PLATFORM, KERNEL):
                stage.note(f"{question.suite} {question.arch}")
                answer = question.newest(self.toolchain, self._cache)
                found[f"{answer.suite}/{answer.arch}"] = answer.pins
            platform = found[f"{PLATFORM.suite}/{PLATFORM.arch}"]
            version = next(pin.version for pin in platform if pin.name == hypervisor.TOOLS)
            answer = xen(version).newest(self.toolchain, self._cache)
            found[f"{answer.suite}/{answer.arch}"] = answer.pins
        return Lock(found.pop(f"{TOOLCHAIN.suite}/{TOOLCHAIN.arch}"), found)

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
    return pins.of(question.suite, question.arch, names)
