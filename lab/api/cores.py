"""GDB on the core file of a crash, without a machine."""

from __future__ import annotations

from dataclasses import replace

from lab import rundir
from lab.api.context import Context
from lab.api.debugging import DebugOptions, run_gdb, sources, toolchain_of
from lab.debug import backtrace, symbols
from lab.debug.launch import Session
from lab.debug.symbols import XEN
from lab.errors import UsageError
from lab.rundir import LabDir
from lab.util import signals
from lab.util.terminal import quote


def open_core(context: Context, run: str, name: str, options: DebugOptions) -> int:
    """Open GDB on the core file that a crash left; returns GDB's exit status.

    ``name``: what crashed: a guest or ``xen``; empty: whatever did.

    Raises:
        UsageError: there is no such run, or it has no such core file.
    """
    found = rundir.find_run(context.runs, run)
    if found is None:
        raise UsageError(f"there is no run {quote(run)}", hint="name a lab, a run's id, or latest")
    manifest = found.manifest()
    chosen = name or str(manifest.get("crashed") or next(iter(manifest.get("cores") or ()), XEN))
    core = backtrace.core_of(found, chosen)
    lab = str(manifest.get("lab") or "")
    known = symbols.of_run(found, iter(sources(context, lab)))
    session = Session(LabDir(core.parent), found, known, chosen)
    toolchain = toolchain_of(context)
    words = backtrace.opening(backtrace.elf_of(found, chosen), core)
    return signals.run(run_gdb(toolchain, session, replace(options, begin=tuple(words))))
