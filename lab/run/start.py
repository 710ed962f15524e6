"""How every lab starts: :func:`started` claims it, prepares it, and undoes everything on failure.

``lab.up``, ``lab.run``, ``lab.up --count`` and the Python interface all start labs this way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import rundir
from lab.errors import BusyError, LabError
from lab.model import Plan
from lab.progress import Progress
from lab.run import claim, ending, live, manifest
from lab.rundir import LabDir, RunDir
from lab.workshop.prepare import Prepared

if TYPE_CHECKING:
    from lab.machine.recording import Recording


@dataclass(frozen=True)
class Intent:
    """A lab that somebody wants to start.

    Attributes:
        lab: the lab's folder while it lives.
        runs: the folder of all run folders.
        owner: who starts it, for the messages that others get: a command or a program.
        kept: whether the machine outlives the block that starts it.
        prepare: makes or finds everything that the plan needs.
        progress: hears how far the start is; others see its stage beside the claim.
    """

    plan: Plan
    lab: LabDir
    runs: Path
    owner: str
    kept: bool
    prepare: Callable[[Plan], Prepared]
    progress: Progress


@dataclass(frozen=True)
class Start:
    """Everything that a machine is started with, once the lab is claimed and prepared.

    Attributes:
        lab: the lab's folder while it lives.
        run: the folder of this run.
        lock: the descriptor of the locked file that is the claim. QEMU inherits it, so the
            claim lasts as long as the machine.
        progress: hears how far the boot is.
        recording: what a machine out of a template records or replays; ``None``: neither.
    """

    plan: Plan
    prepared: Prepared
    lab: LabDir
    run: RunDir
    lock: int
    progress: Progress
    recording: Recording | None = None


@contextlib.contextmanager
def started(intents: Iterable[Intent]) -> Iterator[Start]:
    """Claim a lab, prepare it and make its run folder. Then the block starts the machine.

    If there are several intents, the first one whose lab is free is used. If the block fails or is
    interrupted, only the run folder of the lab remains. If it succeeds, the machine is stopped when
    the block ends, unless the intent says that it is kept.

    Raises:
        BusyError: somebody else has the lab; the message names them.
        LabError: preparing it failed, or the block did. Once there is a run folder, the error's
            ``run`` names it.
    """
    with contextlib.ExitStack() as stack:
        intent, lock = _claimed(stack, intents)
        prepared = intent.prepare(intent.plan)
        run = rundir.new_run(intent.runs, intent.plan.lab.name)
        start = Start(intent.plan, prepared, intent.lab, run, lock, intent.progress)
        stack.enter_context(_recorded(start, kept=intent.kept))
        yield start


def _claimed(stack: contextlib.ExitStack, intents: Iterable[Intent]) -> tuple[Intent, int]:
    busy = None
    for one in intents:
        held = live.claimed(one.lab, one.plan.lab.name, one.owner, one.progress)
        try:
            return one, stack.enter_context(held)
        except BusyError as error:
            busy = error
    assert busy is not None, "there is at least one intent"
    raise busy


@contextlib.contextmanager
def _recorded(start: Start, *, kept: bool) -> Iterator[None]:
    """Record what is about to start, so that a later command can clean up if this one dies."""
    plan, prepared, run = start.plan, start.prepared, start.run
    run.update_manifest(**manifest.first(plan, prepared), life=rundir.RUNNING)
    manifest.keep_symbols(run, prepared.images)
    for image in prepared.guests.values():
        manifest.keep_elf(run, image)
    try:
        start.lab.make()
        live.record_intent(start.lab, plan, run, prepared.toolchain.door, kept=kept)
        yield
    except BaseException as error:
        _undo(start, error)
        raise
    if not kept:
        ending.stop(start.lab, rundir.FINISHED)


def _undo(start: Start, error: BaseException) -> None:
    """Stop the machine; the manifest says why."""
    if isinstance(error, LabError):
        error.run = start.run.path
        words, layer, how = error.message, error.layer, rundir.FINISHED
    else:
        by = claim.interrupter(start.lab)
        words, layer, how = "interrupted" + (f" by {by}" if by else ""), None, rundir.INTERRUPTED
    ending.stop(start.lab, how, verdict="error", layer=layer, reason=words)
