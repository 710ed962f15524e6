"""Stopping labs: one, a group of them, all."""

from __future__ import annotations

import fnmatch

from lab import config, rundir
from lab.api import other_sessions
from lab.api.context import Context, LabStatus, clean
from lab.api.listing import is_of, name_order
from lab.errors import UsageError
from lab.model import State
from lab.run import claim, lifecycle, live
from lab.rundir import LabDir

#: What makes a name a pattern for several.
_PATTERN = frozenset("*?[")


def down(context: Context, name: str) -> LabStatus | None:
    """Stop a lab; ``None`` if it does not run. Its run folder stays.

    A command that is still starting or running it is interrupted first.
    """
    stopped = _down(context.lab_dir(name), name)
    clean(context)
    if stopped is None and rundir.latest_run(context.runs, name) is None:
        config.find_lab(context.labs(), name)
    return stopped


def is_pattern(name: str) -> bool:
    """Whether a name stands for several labs, as a shell's pattern for files does."""
    return bool(_PATTERN & set(name))


def down_matching(context: Context, pattern: str) -> list[LabStatus]:
    """Stop the labs of this session and this labs.yaml whose names match, such as ``hello-*``.

    Raises:
        UsageError: none that runs matches; the hint names those that run.
    """
    found = _here(context)
    chosen = {name: lab for name, lab in found.items() if fnmatch.fnmatchcase(name, pattern)}
    if not chosen:
        there = ", ".join(sorted(found, key=name_order)) or "none"
        raise UsageError(f"no lab that runs is named {pattern}", hint=f"labs that run: {there}")
    return _stop(context, chosen)


def down_all(context: Context | None = None, *, everywhere: bool = False) -> list[LabStatus]:
    """Stop every lab of this session and this labs.yaml, and remove what dead commands left.

    ``everywhere``: every lab of this user instead, of other sessions and labs.yaml too.
    """
    context = context or Context()
    if not everywhere:
        return _stop(context, _here(context))
    known = [
        *rundir.all_lab_dirs(),
        *live.prepared_now(),
        *(lab for lab, _ in other_sessions.labs()),
    ]
    found = [_down(lab, _name(lab)) for lab in known]
    clean(context)
    return sorted((one for one in found if one), key=lambda one: name_order(one.name))


def _here(context: Context) -> dict[str, LabDir]:
    """The labs of this session and this labs.yaml that live, by name."""
    found = {}
    for lab in (*rundir.all_lab_dirs(), *live.prepared_now()):
        name, one = _name(lab), live.find(lab)
        if is_of(context, lab, name, one.run.path if one else None):
            found[name] = lab
    return found


def _name(lab: LabDir) -> str:
    found, command = live.find(lab), claim.maker(lab)
    return found.name if found else command.name if command else lab.id


def _stop(context: Context, labs: dict[str, LabDir]) -> list[LabStatus]:
    found = [_down(labs[name], name) for name in sorted(labs, key=name_order)]
    clean(context)
    return [one for one in found if one]


def _down(lab: LabDir, name: str) -> LabStatus | None:
    found = live.find(lab)
    interrupted = claim.interrupt(lab, "lab.down")
    if found is None and not interrupted:
        return None
    if found is not None and found.running and not interrupted:
        lifecycle.collect_late(found)
    uptime = found.uptime if found and found.running else 0.0
    lifecycle.stop(lab, rundir.FINISHED)
    words = str(interrupted) if interrupted else ""
    if found is None:
        return LabStatus(name, State.OFF, interrupted=words)
    return LabStatus(found.name, State.OFF, uptime, found.run.path, interrupted=words)
