"""Figures, the measured values with their targets. Runs and times our own commands."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from lab.api import Context
from lab.errors import LabError
from lab.util import process
from lab.util.deadline import Deadline

#: Seconds that a command may take.
LONGEST = 600.0
#: The commands that start a lab, so that they have the option ``--arch``.
STARTS = ("lab.up", "lab.run")
#: Seconds that a command has to stop its lab when the bench is interrupted.
GRACE = 5.0


@dataclass(frozen=True)
class Figure:
    """One row: a value with its unit, and its target, if it has one."""

    name: str
    value: float
    unit: str
    target: str = ""
    reached: bool | None = None


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that must stay below a limit."""
    return Figure(name, value, unit, f"< {limit:g}", value < limit)


def no_more(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that must not exceed a limit."""
    return Figure(name, value, unit, f"≤ {limit:g}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that must reach a value."""
    return Figure(name, value, unit, f"≥ {limit:g}", value >= limit)


def said(context: Context, *words: str) -> Any:
    """Run one of our commands as a user does. Returns the parsed JSON that it prints.

    Raises:
        LabError: the command failed.
    """
    arch = ["--arch", context.arch.xen] if context.arch and words[0] in STARTS else []
    argv = [sys.executable, "-m", "lab", *words, *arch, "--labs", str(context.file), "--json"]
    done = process.run(
        argv, env=dict(os.environ), timeout=LONGEST, options=process.Options(grace=GRACE)
    )
    if done.returncode:
        raise LabError(f"{' '.join(words)} failed", tail=done.stderr.decode(errors="replace"))
    return json.loads(done.stdout)


def command(context: Context, *words: str) -> dict[str, Any]:
    """Like :func:`said`, for a command whose JSON is an object. Adds ``wall``, its time (s)."""
    clock = Deadline(0)
    return dict(said(context, *words)) | {"wall": clock.elapsed()}
