"""Results: the domains that xl lists, and the verdict of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.model.enums import ExitStatus, Layer


@dataclass(frozen=True)
class Domain:
    """A line of ``xl list``. ``time`` is used CPU time in seconds; ``memory`` is in bytes.

    ``note``: how it ended, or that it has printed nothing; empty if there is nothing to say.
    """

    name: str
    id: int
    memory: int
    vcpus: int
    state: str
    time: float
    note: str = ""


def guest_names(domains: Iterable[Domain]) -> dict[int, str]:
    """The names of the guests by the numbers of their domains."""
    return {one.id: one.name for one in domains if one.id}


@dataclass(frozen=True)
class Verdict:
    """Pass, or the layer that failed, and why.

    ``tail`` has the last lines of the console that shows the failure, escaped. ``hint``: what to
    look at. ``unbuilt``: the sources of a guest, of Xen or of Linux do not compile.
    """

    passed: bool
    layer: Layer | None = None
    reason: str = ""
    exit_status: ExitStatus = ExitStatus.PASS
    tail: str = ""
    hint: str = ""
    unbuilt: bool = False
