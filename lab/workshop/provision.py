"""What labs are made of, under a lock: the toolchain, and packages from Debian's archive.

Every drift from the lock is recorded: it is reported in one line and written to the manifest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from lab.errors import LabError, LockError
from lab.model import ARCHITECTURES, ARM32, Architecture, Package, Toolchain
from lab.packages import archive, lock, pinned
from lab.packages.answers import Resolution
from lab.packages.archive import Question
from lab.packages.lock import Drift, Lock, Pin
from lab.packages.pinned import Rules
from lab.progress import Progress
from lab.store import cache_root
from lab.toolchain import ToolchainRequest, open_toolchain, recipe, this_machine
from lab.util import files, together
from lab.workshop.questions import (
    KERNEL,
    PAGE,
    PLATFORM,
    SYSROOT,
    TOOLCHAIN,
    locked,
    of,
    platform,
    toolchain,
    xen,
)


class Supplies:
    """The toolchain and the packages. If the cache has them all, no archive is asked.

    ``arch``: the architecture of the labs.
    """

    def __init__(
        self, door: str | None, progress: Progress, pins: Lock, arch: Architecture = ARM32,
        *, strict: bool,
    ) -> None:  # fmt: skip
        self.lock = pins
        #: Brings what the cache lacks, if somebody has it ready.
        self.refill: Callable[[], None] = lambda: None
        self.strict = strict
        self._arch = arch
        self._tools = toolchain(arch)
        self._cache = cache_root()
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
        """The lock, and the drift from it that was found so far."""
        return lock.MadeUnder(self.lock.digest, tuple(self._drift))

    @property
    def locked_toolchain(self) -> tuple[Pin, ...]:
        """The packages of the toolchain in the lock."""
        return self._of(self._tools)

    @property
    def toolchain(self) -> Toolchain:
        """The toolchain, made on first use.

        Raises:
            ToolchainError: it cannot be opened or made.
            LockError: it is not the locked toolchain, and drift is not allowed.
        """
        with self._guard:
            if self._toolchain is None:
                self._toolchain = self._opened()
            return self._toolchain

    def _opened(self) -> Toolchain:
        self._check()
        if self.lock.packages and not self._of(self._tools):
            self._without_pins()
        rules = self._rules
        wanted = ToolchainRequest(
            self._of(self._tools), rules.snapshot, rules.strict, self._arch, self._older,
            self.refill,
        )  # fmt: skip
        with self._progress.stage("toolchain"):
            told = self._progress.say
            made = open_toolchain(
                self._door or "auto", cache=self._cache, progress=told, wanted=wanted
            )
        self._drift += self._drift_of(made)
        return made

    def _without_pins(self) -> None:
        """The lock pins packages, but none of this architecture."""
        words = f"{lock.NAME} has no packages of {self._arch.xen}"
        if self._rules.strict:
            hint = f"./inv image.lock --update --arch {self._arch.xen} locks them"
            raise LockError(words, hint=hint)
        self._progress.say(f"{words}: the newest are used")

    def prepare(self, questions: Sequence[Question]) -> None:
        """Open the toolchain. While it is made, this machine's own apt fetches the locked packages.

        Raises:
            ToolchainError, LockError: as :attr:`toolchain`.
        """
        ahead = [
            one for one in questions
            if (pins := self._of(one)) and not pinned.remembered(self._cache, one, pins)
        ]  # fmt: skip
        helper = this_machine() if ahead and self._toolchain is None else None
        works: list[Callable[[], object]] = [lambda: self.toolchain]
        if helper:
            works += [partial(self._fetch_ahead, helper, question) for question in ahead]
        together.all_of(works)

    def _fetch_ahead(self, helper: Toolchain, question: Question) -> None:
        """Fetch what can be had early. If this fails, the toolchain asks again later."""
        with self._progress.stage(f"fetch {_words(question)} packages") as stage:
            try:
                if not pinned.fetch_ahead(helper, self._cache, question, self._of(question)):
                    stage.note("not the locked versions")
            except LabError:
                stage.note("retried later")

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
        with self._progress.stage(f"packages {_words(question)}") as stage:
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
        """Make sure that the files are in the cache: missing files are downloaded again."""
        with self._guard:
            resolution = self.resolution(question)
            if question in self._fetched:
                return
            if archive.missing(self._cache, resolution.pins):
                with self._progress.stage(f"fetch {_words(question)} packages"):
                    pins = self._of(question)
                    pinned.fetch_again(self.toolchain, self._cache, question, pins, self._rules)
            self._fetched.add(question)

    def newest(self, wanted: Collection[Architecture] = (ARM32,)) -> Lock:
        """A lock of what the archive has now, for these architectures, without images.

        Raises:
            ImageError: the archive is out of reach.
        """
        found: dict[str, tuple[Pin, ...]] = {}
        with self._progress.stage("newest packages") as stage:
            first = (TOOLCHAIN, PLATFORM, SYSROOT) if ARM32 in wanted else ()
            for question in (*first, KERNEL, PAGE, *_others(wanted)):
                stage.note(_words(question))
                found[question.name] = question.newest(self.toolchain, self._cache).pins
            usual = next(iter(wanted))
            xen_tools, name = found[platform(usual).name], usual.releases[0].tools
            version = next(pin.version for pin in xen_tools if pin.name == name)
            answer = xen(version).newest(self.toolchain, self._cache)
            found[f"{answer.suite}/{answer.arch}"] = answer.pins
        return Lock(found.pop(TOOLCHAIN.name, ()), found)

    def _check(self) -> None:
        """Check a lock that is new to this cache: no file in the cache may contradict it.

        Files that are not needed now are checked too. Each lock is checked once per cache.
        """
        seen = self._cache / "locks" / self.lock.digest
        if not seen.exists():
            for pins in self.lock.archives.values():
                pinned.check(self._cache, pins)
            files.write_atomic(seen, "")

    def _older(self, newest: Toolchain) -> Sequence[Path] | None:
        """The files of the toolchain's locked packages, fetched from the archive's snapshots."""
        what = Resolution(self._tools.suite, self._tools.arch, self._of(self._tools))
        if pinned.from_snapshot(newest, self._cache, what, self.lock.snapshot):
            return [package.path for package in archive.expected(self._cache, what)]
        return None

    def _drift_of(self, toolchain: Toolchain) -> Sequence[Drift]:
        """How a toolchain's packages differ from the lock. The door ``host`` lists no packages."""
        pins, versions = self._of(self._tools), toolchain.info().packages
        if not pins or not versions:
            return ()
        found = lock.drift_of_versions(pins, versions, recipe.ARCHITECTURE)
        if found and self._rules.strict:
            raise LockError(lock.refused(found), hint=lock.REFUSED_HINT)
        return found


def _others(wanted: Collection[Architecture]) -> Sequence[Question]:
    """The questions of other architectures than ARM32 for a new lock."""
    others = (arch for arch in ARCHITECTURES[1:] if arch in wanted)
    return [question for arch in others for question in of(arch)]


def _words(question: Question) -> str:
    """A question's name for people, such as ``bookworm armhf``."""
    return question.name.replace("/", " ")
