"""The context of every command: which labs.yaml, which toolchain, who hears of progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lab import config, rundir
from lab.api import bundle_source
from lab.errors import LabError, UsageError
from lab.model import ARCHITECTURES, Architecture, Clock, Lab, Labs, Plan
from lab.model.architecture import by_word, of_run
from lab.progress import Progress
from lab.run import live
from lab.run.live import Live
from lab.rundir import LabDir
from lab.toolchain import sweep_engines
from lab.util.environment import switched_on

if TYPE_CHECKING:
    from lab.api.results import Run
    from lab.api.shared import Shared
    from lab.cluster.sizes import Cluster
    from lab.run.session import Session
    from lab.workshop.prepare import Workshop


class Elsewhere(Protocol):
    """Where labs run if they do not run here: ``lab.api.far``."""

    def labs(self) -> int:
        """How many labs run there at once, on the machines that are there now."""

    def at_once(self) -> int:
        """How many runs should be under way at once."""

    def run(self, context: Context, plan: Plan, clock: Clock | None, *, cold: bool) -> Run:
        """Run a lab."""


@dataclass(frozen=True)
class Context:
    """Which labs.yaml and which toolchain to use, and who hears of progress.

    Attributes:
        door: how the toolchain is entered; ``None``: whichever this machine has.
        force: boot a hypervisor even if its version is not that of the tools in dom0.
        arch: the architecture of the labs; ``None``: what labs.yaml says.
        pause: where a run fails, let its machine stand, and open GDB on the terminal.
        cores: every guest leaves a core file when a run ends, not only those that failed.
        against: the fingerprint of an earlier run; a run says, before it starts, whether it has
            the same.
        variant: changes a lab of labs.yaml before it is planned; ``None``: it stays as it is.
        seed: runs have the disturbances of this seed; ``None``: they have none.
        keep: only these of the seed's disturbances, by their numbers; ``None``: all.
        cluster: runs go to this cluster, and come back into ``runs``; ``None``: they run here.
        far: the connection to it, while there is one.
        shared: what the runs of one command have in common; ``None``: it is a single run.
        locked: as is ``$LAB_LOCKED``: it is an error if packages are not the locked ones.
    """

    file: Path = Path("labs.yaml")
    door: str | None = None
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))
    force: bool = False
    locked: bool = False
    arch: Architecture | None = None
    pause: bool = False
    cores: bool = False
    against: Mapping[str, str] | None = None
    variant: Callable[[Lab], Lab] | None = None
    seed: int | None = None
    keep: tuple[int, ...] | None = None
    cluster: Cluster | None = None
    far: Elsewhere | None = None
    shared: Shared | None = None

    @property
    def runs(self) -> Path:
        """Where runs are kept: beside labs.yaml."""
        return self.file.absolute().parent / "runs"

    def labs(self) -> Labs:
        """The labs, checked."""
        return self.shared.labs(self.file, config.load) if self.shared else config.load(self.file)

    @property
    def strict(self) -> bool:
        """Whether nothing but the locked packages may be used."""
        return self.locked or switched_on("LAB_LOCKED")

    @property
    def usual_arch(self) -> Architecture:
        """The architecture for what belongs to no lab: the option's, else that of all labs.

        The first one, if labs differ or cannot be read.
        """
        if self.arch:
            return self.arch
        try:
            found = {lab.arch for lab in self.labs().labs.values()}
        except LabError:  # whoever needs the labs says why
            found = set()
        return found.pop() if len(found) == 1 else ARCHITECTURES[0]

    def workshop(self, door: str | None = None, arch: Architecture | None = None) -> Workshop:
        """The workshop that makes everything, under the lock that holds for these labs.

        Raises:
            ImageError: the lock cannot be read. BundleError: the named bundle cannot be used.
        """
        from lab.packages import lock
        from lab.workshop.prepare import Workshop

        pins = lock.load(lock.place(self.file))
        refill = bundle_source.filler(self.progress, pins)
        refill()
        strict = self.strict or bundle_source.named() is not None
        made = Workshop(
            door or self.door, self.progress, pins, arch or self.usual_arch, strict=strict
        )
        made.supplies.refill = refill
        return made

    def lab_dir(self, name: str) -> LabDir:
        return rundir.lab_dir(self.runs, name)


def architecture(word: str) -> Architecture | None:
    """The architecture of that name, as in labs.yaml; ``None`` if the word is empty.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return by_word(word) if word else None
    except KeyError:
        known = ", ".join(one.xen for one in ARCHITECTURES)
        words = f"there is no architecture {word!r}"
        raise UsageError(words, hint=f"one of: {known}") from None


def like(context: Context, manifest: Mapping[str, Any]) -> Context:
    """The context in which an earlier run can be repeated, by its manifest."""
    seed, kept = manifest.get("seed"), manifest.get("disturbances")
    seed = seed if isinstance(seed, int) else None
    known = [one for one in kept if isinstance(one, dict)] if isinstance(kept, list) else []
    keep = None if seed is None else tuple(int(one.get("number") or 0) for one in known)
    return replace(context, arch=of_run(manifest), seed=seed, keep=keep)


def clean(context: Context) -> None:
    """Clean up what dead commands and machines left behind; say so."""
    for words in (*live.sweep(), *sweep_engines()):
        context.progress.say(words)


def attached(found: Live) -> Session:
    """A session on a lab that runs."""
    from lab.run.session import Session

    return Session(found.lab, found.run, found.state)
