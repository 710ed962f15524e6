"""The lives of a lab: several runs of one lab may be under way at once.

Each life has a folder and a claim of its own, in a place. The first place is that of ``lab.up``, so
one lab of a name can be up. A run takes the first of the other places that is free.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from lab.api.context import Context
from lab.run import claim, live
from lab.rundir import LabDir

#: The most runs of one lab at once.
MOST = 256


def places(context: Context, name: str) -> Iterator[LabDir]:
    """The folders that the lives of a lab have: first that of ``lab.up``."""
    yield context.lab_dir(name)
    for number in range(2, MOST + 1):
        yield context.lab_dir(f"{name} {number}")  # no lab of labs.yaml has a space in its name


def places_of_runs(context: Context, name: str) -> Iterator[LabDir]:
    """The same, without that of ``lab.up``."""
    return itertools.islice(places(context, name), 1, None)


def current(context: Context, name: str) -> LabDir:
    """The life that a command means by the lab's name: the lab that is up or comes up, else the
    first of its runs. If it does not live, the place of ``lab.up``."""
    first = context.lab_dir(name)
    if first.path.exists() or claim.maker(first):
        return first
    return next((lab for each, lab in here(context) if each == name), first)


def here(context: Context) -> list[tuple[str, LabDir]]:
    """The labs of this session and this labs.yaml that live, with their names. A name comes as
    often as its lab lives, and its first place comes first."""
    found = []
    for lab in live.of_session():
        name, one = name_of(lab), live.find(lab)
        if is_of(context, lab, name, one.run.path if one else None):
            found.append((name, lab))
    return sorted(found, key=lambda one: one[1].id != context.lab_dir(one[0]).id)


def name_of(lab: LabDir) -> str:
    """The name of a live lab, or its id if nobody recorded a name."""
    found, command = live.find(lab), claim.maker(lab)
    return found.name if found else command.name if command else lab.id


def is_of(context: Context, lab: LabDir, name: str, run: Path | None) -> bool:
    """Whether a live lab is one of this labs.yaml."""
    if run is not None:
        return run.parent.parent.resolve() == context.runs.resolve()
    return any(place.id == lab.id for place in places(context, name))
