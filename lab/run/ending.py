"""Stops the machine of a lab and completes its run."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from lab.machine import console_quota
from lab.run import live, traces
from lab.rundir import LabDir, RunDir
from lab.util import signals


def stop(lab: LabDir, how: str, **manifest: Any) -> None:
    """End a lab's machine, whatever its state, and complete the manifest of its run.

    ``how``: how the run's life ended (:mod:`lab.rundir`). Signals wait until all is done.
    """
    with signals.held_back():
        found = live.find(lab)
        if found is not None:
            live.end(found, how, ended=time.time(), **manifest)
            traces.conclude(found.run)
            _note_lost_output(found.run)
        live.forget(lab)


def _note_lost_output(run: RunDir) -> None:
    """Note in the manifest how many bytes each console said that its log could not hold."""
    with contextlib.suppress(OSError):
        if lost := console_quota.lost(run):
            run.update_manifest(lost=lost)
