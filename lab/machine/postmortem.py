"""Errors for a machine that failed: what the lab waited for, the last lines, what to do."""

from __future__ import annotations

from pathlib import Path

from lab.errors import (
    Dom0Error,
    HypervisorError,
    LabError,
    MachineError,
    ToolchainError,
    ToolstackError,
)
from lab.machine.console import FAILURES, Failure, failure_in, worst
from lab.machine.log_lines import last_lines, tail
from lab.model import Layer, Program, architecture
from lab.rundir import RunDir
from lab.util import files

#: QEMU's exit status if the disk had no room for a page of its memory: SIGBUS, as a shell counts.
BUS_ERROR = 128 + 7
#: Xen found no place for dom0 (xen/arch/arm/domain_build.c, allocate_memory_11). It allocates
#: dom0's memory in large pieces, and the files that it boots from lie between them.
NO_PLACE = ("Failed to allocate requested dom0 memory", "Unable to allocate first memory bank")
PLACE_HINT = (
    "Xen places dom0 in large pieces: make dom0's 'memory' a multiple of 128M, or give the lab "
    "more ('memory: 2G')"
)


def died(run: RunDir, program: Program | None, step: str, memory: Path | None) -> LabError:
    """QEMU ended, and no console says why."""
    try:
        status = program.returncode() if program else None
    except ToolchainError as gone:  # QEMU ended with it
        return gone
    how = "" if status is None else f" with exit status {status}"
    said = tail(run.qemu_log)
    # The command line is fifteen lines long; the manifest has it.
    where = f"the command line is in {run.path / 'manifest.json'}"
    hint = (
        f"QEMU's output is in {run.qemu_log}, {where}" if said else f"QEMU printed nothing; {where}"
    )
    if status == BUS_ERROR and memory:
        hint = f"make room: the machine's memory is {memory}, and that disk is full"
    return MachineError(
        f"QEMU ended by itself{how} while the lab waited for {step}",
        tail=said or tail(run.console("xen")),
        hint=hint,
    )


def by_itself(run: RunDir) -> str:
    """That QEMU ended by itself, in words. If a console says why, that comes first."""
    found = [
        line
        for on in dict.fromkeys(failure.on for failure in FAILURES)
        for line in last_lines(on, run.console(on))
        if failure_in(line)
    ]
    return f"{worst(found).what}, and QEMU ended by itself" if found else "QEMU ended by itself"


#: What to do where the control interface of Xen and of the tools in dom0 differ.
TOOLS_HINT = (
    "have them built from the hypervisor's tree (tools: source), or use a Xen of their version"
)


def lost(run: RunDir, failure: Failure, step: str) -> LabError:
    """A console says that Xen or dom0 failed, or that Xen refused dom0's tools."""
    kinds: dict[Layer, type[LabError]] = {
        Layer.XEN: HypervisorError,
        Layer.TOOLSTACK: ToolstackError,
    }
    kind = kinds.get(failure.layer, Dom0Error)
    log = run.console(failure.on)
    what, last = f"{failure.what} while the lab waited for {step}", tail(log)
    if any(words in last for words in NO_PLACE):
        return kind(what, tail=last, hint=PLACE_HINT)
    if failure.layer is Layer.TOOLSTACK:
        return kind(what, tail=last, hint=TOOLS_HINT)
    return kind(what, tail=last, hint=f"the whole log: {log}")


def no_qmp(within: float) -> LabError:
    """QEMU runs, but did not open its control socket."""
    return MachineError(f"QEMU did not open its control socket within {within:g} s")


def no_xen(run: RunDir, within: float) -> LabError:
    """Xen's console does not say that Xen starts dom0."""
    return _no_room(run) or HypervisorError(
        f"Xen did not begin to start dom0 within {within:g} s",
        tail=tail(run.console("xen")),
        hint=f"is the hypervisor's image a Xen for {architecture.of_run(run.manifest()).name}?",
    )


def no_stop(run: RunDir, what: str, within: float) -> LabError:
    """dom0 did not finish ``what``, after which the machine would have stopped."""
    return Dom0Error(
        f"waited for {what}: not done within {within:g} s", tail=tail(run.console("dom0"))
    )


def silent(run: RunDir, error: Dom0Error) -> LabError:
    """dom0's agent does not answer."""
    last = error.tail or tail(run.console("dom0"))
    return _no_room(run) or Dom0Error(error.message, tail=last, hint=error.hint)


def unrecorded(run: RunDir, error: OSError) -> LabError:
    """The run folder cannot be written or watched."""
    what = f"the run can no longer be recorded: {error.strerror}"
    return _no_room(run) or MachineError(what, hint=f"look at {run.path}")


def _no_room(run: RunDir) -> LabError | None:
    """The error if the disk is full: QEMU drops what it cannot write, and does not say so."""
    if not files.is_full(run.path):
        return None
    what = f"the disk of {run.path} is full, so the consoles' output is lost"
    return MachineError(what, tail=tail(run.console("xen")), hint="make room, then try again")
