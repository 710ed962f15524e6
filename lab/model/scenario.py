"""What a lab is expected to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.model.enums import Act


@dataclass(frozen=True)
class Expectation:
    """What must be printed: ``text`` (literal or, if ``regex``, a pattern) on console ``on``.

    ``on`` is ``xen``, ``dom0`` or a guest's name. ``within`` is seconds from the moment when
    the guests begin to run. ``line`` is its line in labs.yaml, from 1.
    """

    on: str
    text: str
    regex: bool = False
    within: float = 30.0
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Step:
    """One step of a scenario; docs/scenarios.md has the meaning of each.

    Attributes:
        on: its console (wait, silent), or its guest (type, and what acts on a domain).
        text: what to wait for, to type, or to run in dom0; the path of what to collect.
        regex: whether ``text`` of a wait, or ``output`` of an exec, is a pattern.
        output: what an exec must print; empty: whatever it likes.
        status: the status with which an exec must end.
        within: seconds from the step's start; for a silence, how long it must last.
        name: the name of the file that a collect makes.
        enter: whether Enter is typed at the end.
        members: the steps of a parallel group.
        line: its line in labs.yaml, from 1.
    """

    do: Act
    on: str = ""
    text: str = ""
    regex: bool = False
    output: str = ""
    status: int = 0
    within: float = 30.0
    name: str = ""
    enter: bool = True
    members: tuple[Step, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Never:
    """A text that no line of the whole run may have. An empty ``on`` means every console."""

    text: str
    on: str = ""
    regex: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Threshold:
    """A limit for a figure of a task's trace: for ``statistic`` (p99, max, …) of ``figure``.

    ``limit`` is in seconds, or a number if the figure counts something. ``guest`` is empty for
    tasks of that name in all guests.
    """

    task: str
    figure: str
    limit: float
    statistic: str = ""
    guest: str = ""
    line: int = field(default=0, compare=False)
